# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with whom the monitoring tells."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import receivers

TEAM = {"name": "team", "kind": "feishu"}
MAIL = {"name": "ops", "kind": "mail", "to": ["ops@example.com"], "from": "gpuchat@example.com"}
MAIL = {**MAIL, "server": "smtp.example.com:587", "username": "gpuchat"}
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
INSIDE = {**MAIL, "username": "", "tls": False}
CENTRAL = {"name": "central", "url": "https://metrics.example.com/api/v1/write"}


def faults(told=(), known=(), remotes=(), remote_secrets=(), addresses=None, **more):
    variables = {"monitoring_receivers": list(told), "monitoring_remote_write": list(remotes), **more}
    secrets = {"monitoring_receiver_secrets": list(known), "monitoring_remote_write_secrets": list(remote_secrets)}
    return list(receivers.faults(variables, secrets, addresses))


SOUND = {
    "nobody": {},
    "a robot with its address": {"told": [TEAM], "known": ["team"]},
    "a robot with an address": {"told": [TEAM], "known": ["team"], "addresses": ["team"]},
    "mail, whose secret is no address": {"told": [MAIL], "known": ["ops"], "addresses": []},
    "mail with a password": {"told": [MAIL], "known": ["ops"]},
    "mail to a server that asks for no name": {"told": [{**MAIL, "username": ""}]},
    "mail to a server without TLS": {"told": [INSIDE]},
    "mail to a server of the company's": {"told": [{**MAIL, "authority": PEM}], "known": ["ops"]},
    "a place without a secret, in the clear": {"remotes": [{**CENTRAL, "url": "http://10.0.0.9:9009/api/v1/push"}]},
    "a place with a token": {"remotes": [CENTRAL], "remote_secrets": ["central"]},
    "numbers": {"monitoring_ttft_target_seconds": 2.5, "monitoring_patience": "0.1"},
}


@pytest.mark.parametrize("given", SOUND.values(), ids=SOUND)
def test_what_is_sound_has_no_fault(given):
    assert faults(**given) == []


WRONG = {
    "a robot without an address": ({"told": [TEAM]}, "monitoring_receiver_secrets.team"),
    "mail without its password": ({"told": [MAIL]}, "monitoring_receiver_secrets.ops"),
    "a secret of nobody": ({"told": [TEAM], "known": ["team", "taem"]}, "did you mean team"),
    "a name with a space": ({"told": [{**TEAM, "name": "The Team"}], "known": ["The Team"]}, "name to the-team"),
    "a name twice": ({"told": [TEAM, TEAM], "known": ["team"]}, "names team twice"),
    "mail to nobody": ({"told": [{**MAIL, "to": []}], "known": ["ops"]}, "monitoring_receivers[0].to"),
    "mail to no address": ({"told": [{**MAIL, "to": ["ops"]}], "known": ["ops"]}, "holds 'ops'"),
    "mail from nobody": ({"told": [{**MAIL, "from": ""}], "known": ["ops"]}, "monitoring_receivers[0].from"),
    "a server without a port": ({"told": [{**MAIL, "server": "smtp"}], "known": ["ops"]}, "smtp.example.com:587"),
    "mail's lines with a robot": ({"told": [{**TEAM, "to": ["a@b"]}], "known": ["team"]}, "wanted to for mail alone"),
    "a robot without TLS": ({"told": [{**TEAM, "tls": False}], "known": ["team"]}, "wanted tls for mail alone"),
    "mail's password in the clear": (
        {"told": [{**MAIL, "tls": "no"}], "known": ["ops"]},
        "monitoring_receivers[0].tls is false, and it has a username",
    ),
    "an authority for no TLS": ({"told": [{**INSIDE, "authority": PEM}]}, "wanted one for TLS alone"),
    "an authority by its path": (
        {"told": [{**MAIL, "authority": "/etc/ca.crt"}], "known": ["ops"]},
        "monitoring_receivers[0].authority is no certificate",
    ),
    "a server at no port": ({"told": [{**MAIL, "server": "smtp.example.com:0"}], "known": ["ops"]}, "0].server is"),
    "a server at too high a port": ({"told": [{**MAIL, "server": "h:99999"}], "known": ["ops"]}, "0].server is"),
    "a server of no name": ({"told": [{**MAIL, "server": "...:25"}], "known": ["ops"]}, "0].server is"),
    "a name of two lines": ({"told": [{**MAIL, "username": "a\nb"}], "known": ["ops"]}, "0].username holds a line"),
    "a damaged authority": (
        {"told": [{**MAIL, "authority": PEM.replace("MIIB", "xx")}], "known": ["ops"]},
        "monitoring_receivers[0].authority is no certificate",
    ),
    "an authority with a key": (
        {"told": [{**MAIL, "authority": f"{PEM}-----BEGIN PRIVATE KEY-----"}], "known": ["ops"]},
        "without a key",
    ),
    "an address that is none": ({"told": [TEAM], "known": ["team"], "addresses": []}, "secrets.team is no address"),
    "a place at no port": ({"remotes": [{**CENTRAL, "url": "https://m:99999/x"}]}, "write[0].url is no address"),
    "a place of no name": ({"remotes": [{**CENTRAL, "url": "https://.../x"}]}, "write[0].url is no address"),
    "a place's name of two lines": (
        {"remotes": [{**CENTRAL, "username": "a\n"}], "remote_secrets": ["central"]},
        "monitoring_remote_write[0].username holds a line break",
    ),
    "a token in the clear": (
        {"remotes": [{**CENTRAL, "url": "http://a/b"}], "remote_secrets": ["central"]},
        "monitoring_remote_write[0].url",
    ),
    "a username without a password": ({"remotes": [{**CENTRAL, "username": "x"}]}, "secrets.central"),
    "no patience below nothing": ({"monitoring_patience": -1}, "monitoring_patience is -1"),
}


@pytest.mark.parametrize(("given", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_with_its_variable(given, words):
    found = faults(**given)
    assert len(found) == 1, found
    assert words in found[0]


def test_an_address_with_a_password_is_not_repeated():
    (fault,) = faults(remotes=[{**CENTRAL, "url": "https://kim:s3cret@metrics.example.com/write"}])
    assert "s3cret" not in fault


def test_a_receiver_is_read():
    assert receivers.read([MAIL, TEAM]) == (
        receivers.Receiver(
            "ops", "mail", "warning", ("ops@example.com",), "gpuchat@example.com", "smtp.example.com:587", "gpuchat"
        ),
        receivers.Receiver("team", "feishu"),
    )
    assert [one.has_secret for one in receivers.read([{**MAIL, "username": ""}, TEAM])] == [False, True]
