# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tool that makes the tables of LobeHub reads its source as LobeHub does, and writes what it has read."""

from __future__ import annotations

import ast
import hashlib
import json

import lobehub_facts
import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat.facts import lobehub as facts

CHECKS = """
const DEPRECATED_CHECKS = [
  {
    getVars: () => Object.keys(process.env).filter((key) => key.startsWith('NEXT_AUTH')),
    message: 'Gone.',
  },
  {
    formatVar: (envVar) => {
      const mapping = {
        ENABLE_MAGIC_LINK: 'AUTH_ENABLE_MAGIC_LINK',
        OLD_ID: 'No longer needed',
      };
    },
    getVars: () => ['ENABLE_MAGIC_LINK', 'OLD_ID'].filter((key) => process.env[key]),
    message: 'Renamed.',
  },
  {
    getVars: () => (process.env['APP_URL']?.endsWith('/') ? ['APP_URL'] : []),
    message: 'A slash.',
  },
  {
    getVars: () => (process.env['SMTP_HOST'] ? ['AUTH_EMAIL_VERIFICATION'] : []),
    message: 'Only a hint.',
    severity: 'warning',
  },
];
"""


@pytest.fixture
def source(tmp_path):
    texts = {
        "package.json": '{"version": "2.1.26"}',
        "Dockerfile": 'ENV IN_IMAGE="" \\\n    PORT="3210"\n',
        "src/a.ts": "const a = process.env.READ_PLAINLY; const b = process.env['READ_IN_BRACKETS'];",
        "src/a.test.ts": "process.env.READ_IN_A_TEST",
        "src/envs/llm.ts": "ENABLED_OLLAMA: process.env.ENABLED_OLLAMA !== '0',\nX: !!process.env.X_API_KEY,",
        "src/config/featureFlags/schema.ts": "z.object({\n  market: FeatureFlagValue.optional(),\n})",
        "packages/model-bank/src/const/modelProvider.ts": "export enum ModelProvider {\n  VLLM = 'vllm',\n}",
        "scripts/_shared/checkDeprecatedAuth.js": CHECKS,
        "docs/a.mdx": "KEY_VAULTS_SECRET=abcdefghijklmnopqrstuvwxyz=\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_each_name_that_the_servers_source_reads_is_found_with_its_file(source):
    found = lobehub_facts.environment(source)
    assert (found["READ_PLAINLY"], found["READ_IN_BRACKETS"], found["IN_IMAGE"]) == (
        "src/a.ts",
        "src/a.ts",
        "Dockerfile",
    )
    assert {"VLLM_MODEL_LIST", "VLLM_PROXY_URL", "NODE_EXTRA_CA_CERTS"} <= set(found)
    assert "READ_IN_A_TEST" not in found


def test_a_name_with_which_it_does_not_start_is_told_with_the_one_in_its_place(source):
    assert lobehub_facts.refused(source) == {
        "NEXT_AUTH*": "", "ENABLE_MAGIC_LINK": "AUTH_ENABLE_MAGIC_LINK", "OLD_ID": "",
    }  # fmt: skip


def test_of_a_published_secret_its_digest_alone_is_kept(source):
    digest = hashlib.sha256(b"abcdefghijklmnopqrstuvwxyz=").hexdigest()
    assert lobehub_facts.examples(source) == {digest: "KEY_VAULTS_SECRET"}


def test_what_was_read_file_by_file_is_told_apart(source):
    reading = {
        "about": "a copy", "plain_search": {"A": "b"}, "skipped_migrations": ["1.sql"],
        "read": {"x.ts": ["READ_PLAINLY", "NEW_NAME"]},
    }  # fmt: skip
    text = lobehub_facts.tables(source, {"2.2.0": reading})
    made = {
        node.target.id: ast.literal_eval(node.value) for node in ast.parse(text).body if isinstance(node, ast.AnnAssign)
    }
    assert set(made) == set(lobehub_facts.TABLES)
    assert made["ENVIRONMENT"]["READ_PLAINLY"] == (("2.1.26", "", "src/a.ts"),)
    assert made["ENVIRONMENT"]["NEW_NAME"] == (("2.2.0", "", "x.ts"),)
    assert [one["ran"] for one in made["RELEASES"].values()] == [True, False]
    assert made["SKIPPED_MIGRATIONS"] == {"2.1.26": (), "2.2.0": ("1.sql",)}
    assert (made["SWITCHES"], made["FLAGS"]) == (("ENABLED_OLLAMA",), ("market",))
    assert all(len(line) <= 120 for line in text.splitlines())


def test_the_table_has_what_was_written_down_by_hand():
    for version, reading in json.loads(lobehub_facts.READ.read_text("utf-8")).items():
        assert facts.RELEASES[version]["read"] == tuple(reading["read"])
        assert {name for names in reading["read"].values() for name in names} <= set(facts.ENVIRONMENT)
        assert facts.SKIPPED_MIGRATIONS[version] == tuple(reading["skipped_migrations"])
