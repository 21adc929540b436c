# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers the inventory, the roles' specifications and the owner's certificates for the module of the same name."""

from __future__ import annotations

import codecs
import contextlib
import glob
import hashlib
import importlib.util
import os
import pathlib
import re

from ansible.errors import AnsibleError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import is_encrypted
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import inventory_loader

# By its path, for a checkout has no name by which its plugins could import it.
_PATH = pathlib.Path(__file__).resolve().parents[1] / "module_utils" / "gpuchat" / "core" / "control_runner.py"
_SPEC = importlib.util.spec_from_file_location(_PATH.stem, _PATH)
control_runner = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(control_runner)
control_files = control_runner.shared("module_utils.gpuchat.core.control_files_runner")

MARK = os.urandom(16)  # by which one secret is told from another in this run, and in no other
HEADER = re.compile(r"[A-Za-z0-9._~+/=-]+")
CERTIFICATE = ("edge_certificate_file", "edge_certificate_key_file")
FILES = {
    "edge_acme_dns_hook": "a program",
    "edge_acme_authority_file": "certificates in PEM form",
    "edge_client_authority_file": "certificates in PEM form",
    "edge_password_file": "names with hashed passwords, as htpasswd writes them",
    "edge_forward_auth_authority_file": "certificates in PEM form",
}
PASSWORDS = "edge_password_file"
HASHED = re.compile(  # as nginx verifies them
    r"[^:]*:(\$\w+\$\S+|\{S?SHA\}\S+|\{PLAIN\}[^:]+|_[./0-9A-Za-z]{19}|[./0-9A-Za-z]{13})(:.*)?\s*"
)
JUMPS = re.compile(r"(?i:proxy)|(^|\s)-[JF]")
CHAT_SECRETS = {
    "lobehub_auth_secret": "AUTH_SECRET",
    "lobehub_key_vaults_secret": "KEY_VAULTS_SECRET",
    "lobehub_jwks_key": "JWKS_KEY",
}
ENVIRONMENTS = tuple(f"{one}_environment" for one in ("backup", "lobehub", "object_store", "open_webui", "vllm"))
LOGINS = "gpuchat_registry_logins"
PROXY = "gpuchat_proxy"
AUTHORITIES = "gpuchat_ca_files"
PLAIN_LOGIN = re.compile(r"(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+:(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+")
ARCHIVES = "gpuchat_image_archives"
MODELS = "gpuchat_models"
ENDPOINTS = "gpuchat_endpoints"
ELSEWHERE = ("gpuchat_database", "gpuchat_object_store", "gpuchat_sso")
ENDPOINT_PARTS = (
    *("name", "url", "title", "models", "upstream", "task", "timeout", "authority_file"),
    *("context", "tools", "vision"),
)
TOOL_SERVERS = "gpuchat_mcp_servers"
YAML = (".yml", ".yaml", ".json")  # the endings that Ansible knows, in its order
PARTS = ("hosts", "children", "vars")  # of a group
OF_EDITORS = (".txt", ".text", ".conf", ".cfg", ".ini")
FOLDER = re.compile(r"(?i)(?P<of>group|host)s?[-_. ]?vars?")
SECTION = re.compile(rb"(?m)^\s*\[[^\]\s]+\]\s*([#;].*)?$")
SSH_ARGS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
NUMBER, LINES, UNREAD = "(number)", "(several lines)", "(encrypted)"  # as inventory/types.py knows them
ADDRESS = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+(/\S*)?(#\S*)?")
READ_FILES = {"vllm_requirements": "pinned requirements, as uv pip compile writes them"}
READ_FOLDERS = {"toolbox_wheels": "a folder with the wheels"}
PEM = (
    "edge_acme_authority_file",
    "edge_client_authority_file",
    "edge_forward_auth_authority_file",
)
INDEX = re.compile(r"([A-Za-z0-9_.-]+=)?(https?://([^/\s@]*@)*[A-Za-z0-9.\[\]:_-]+(/\S*)?|file://\S+|/\S*)")
SHAPES = {
    "model_token": re.compile(r"[!-+\--:<-~]+"),
    "toolbox_index_url": INDEX,
    "uv_index_url": INDEX,
    "uv_extra_index_urls": INDEX,
    **dict.fromkeys(("gpuchat_database_password", "gpuchat_sso_client_secret"), re.compile(r"[^\r\n]+")),
}
"""What a secret, or each of a list of them, looks like."""

HEADER_VALUE = control_runner.shared("module_utils.gpuchat.inventory.tool_servers").HEADER_VALUE


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_preflight`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        roles = _specifications()
        ours = control_runner.shared("module_utils.gpuchat.inventory.given").Specification(roles)
        options = ours.options
        groups = _groups(task_vars["groups"])
        play_hosts = [host for host in task_vars.get("ansible_play_hosts_all", []) if host in groups["all"]]
        args = {"groups": groups, "roles": roles, "play_hosts": play_hosts, "sources": _sources(task_vars, options)}
        args.update({"variables": {}, "secrets": {}, "others": {}, "untemplated": [], "chat_secrets": {}})
        args["reached"] = {host: _reached(host, task_vars["hostvars"][host]) for host in groups["all"]}
        prefixes = ("gpuchat_", "lobechat_", *ours.prefixes)
        for host in groups["all"]:
            given = self._given(host, task_vars, options)
            args["variables"][host], args["secrets"][host], args["others"][host] = {}, {}, []
            for name in given:
                if name not in options and not name.startswith(prefixes):
                    args["others"][host] += [] if name.startswith(("ansible_", "_")) else [name]
                    continue
                try:
                    value = given[name]
                except AnsibleError as error:
                    args["untemplated"].append([host, name, str(error)])
                    continue
                if options.get(name, {}).get("no_log"):
                    args["secrets"][host][name] = _about_secret(name, value)
                    if name in CHAT_SECRETS and isinstance(value, str) and host in groups.get("chat", []):
                        args["chat_secrets"][CHAT_SECRETS[name]] = str(value)
                else:
                    args["variables"][host][name] = _without_secrets(name, value)
        args["certificates"], args["certificate_keys"] = self._certificates(groups, args["variables"])
        args["files"], args["people"], args["unhashed"] = self._files(groups, args["variables"])
        args.update({name: self._task.args.get(name) or [] for name in ("parts", "needed")})
        authorities, args["endpoint_problems"] = self._endpoint_authorities(args["variables"])
        args["authorities"], args["authority_problems"] = self._company_authorities(args["variables"])
        own = _folder(args["sources"], self._loader.get_basedir())
        args["listed"] = self._task.args.get("listed", control_files.listed_models(self._own_folder(task_vars) or own))
        args["endpoint_problems"] += self._control_files(args["variables"])
        given = next((one[ENDPOINTS] for one in args["variables"].values() if one.get(ENDPOINTS)), [])
        args["pem_files"] = {
            f"{ENDPOINTS}[{number}].authority_file": authorities[f"endpoint-{one.get('name')}.crt"]
            for number, one in enumerate(given if isinstance(given, list) else [])
            if isinstance(one, dict) and authorities.get(f"endpoint-{one.get('name')}.crt")
        }
        for host in groups.get("edge", []):
            for name in PEM:
                text, problem = self._text(name, str(args["variables"][host].get(name) or ""))
                args["pem_files"].update({name: text} if text and not problem else {})
        args["elsewhere_authorities"], problems = self._elsewhere_authorities(args["variables"])
        args["endpoint_problems"] += problems
        result = control_runner.run(self, args)
        result["folder"] = own
        if not result.get("failed"):
            # Where the lock file lies may hang on what this very task finds, which is no variable yet.
            self._archives(args["variables"], {**task_vars, "__gpuchat_preflight": {"folder": result["folder"]}})
        asks = {"door", "edge"} & set(result.get("parts") or ())
        result["live_endpoints"] = [
            {**one, "authority": authorities.get(f"endpoint-{one['name']}.crt", "")}
            for one in (result.get("topology") or {}).get("live_endpoints", ())
            if asks
        ]
        result["elsewhere_authorities"] = {
            name: "".join(args["elsewhere_authorities"].get(name, {}).values()) for name in ELSEWHERE
        }
        result["endpoint_files"] = {
            part: [{"dest": f"/etc/gpuchat/{part}/{name}", "content": text} for name, text in authorities.items()]
            for part in ("door", "edge")
        }
        return result

    def _own_folder(self, task_vars):
        """Return the folder that the inventory names for a run's own files, empty where it does not."""
        with contextlib.suppress(AnsibleError):  # which is said where all variables are templated
            return str(self._templar.template(task_vars.get("gpuchat_folder") or ""))
        return ""

    def _archives(self, variables, task_vars):
        """Read the images' archives, each of which is refused here where it is not whole."""
        given = dict.fromkeys(str(one.get(ARCHIVES) or "") for one in variables.values())
        for folder in filter(None, given):
            templar = self._templar.copy_with_new_env(available_variables=task_vars)
            control_runner.archives(folder, str(templar.template(task_vars["gpuchat_lock_file"])))

    def _endpoint_authorities(self, variables):
        """Return the private authorities of somebody else's servers by file, and why one cannot be read."""
        texts, problems = {}, []
        given = next((one[ENDPOINTS] for one in variables.values() if one.get(ENDPOINTS)), [])
        for number, one in enumerate(given if isinstance(given, list) else []):
            path = one.get("authority_file") if isinstance(one, dict) else ""
            if path and isinstance(path, str):
                variable = f"{ENDPOINTS}[{number}].authority_file"
                text, problem = self._text(variable, path, "certificates in PEM form")
                texts[f"endpoint-{one.get('name')}.crt"] = text
                problems += [problem] if problem else []
        return texts, problems

    def _control_files(self, variables):
        """Return why files and folders of the control node that tasks read cannot be read."""
        problems = []
        for name, wanted in READ_FILES.items():
            paths = dict.fromkeys(one.get(name) for one in variables.values())
            problems += [self._text(name, path, wanted)[1] for path in paths if isinstance(path, str)]
        for name, wanted in READ_FOLDERS.items():
            for path in dict.fromkeys(one.get(name) for one in variables.values()):
                full = os.path.expanduser(path) if isinstance(path, str) else ""
                if full and not (os.path.isabs(full) and os.path.isdir(full)):
                    why = "no folder of the control node" if os.path.isabs(full) else "no path that begins with /"
                    problems.append(f"{name} is {path}, which is {why}; wanted {wanted}; set {name} to one")
        return list(filter(None, problems))

    def _elsewhere_authorities(self, variables):
        """Return the authorities of what is elsewhere by variable and path, and why one is not read."""
        found, problems = {}, []
        for name in ELSEWHERE:
            given = [one.get(name) for one in variables.values()]
            paths = dict.fromkeys(one.get("authority_file") for one in given if isinstance(one, dict))
            texts = {path: self._text(f"{name}.authority_file", path) for path in paths if isinstance(path, str)}
            found[name] = {path: text for path, (text, problem) in texts.items() if path and not problem}
            problems += [problem for _text, problem in texts.values() if problem]
        return found, problems

    def _company_authorities(self, variables):
        """Return the texts of a company's authorities by their paths, and why one cannot be read."""
        given = [one.get(AUTHORITIES) for one in variables.values()]
        paths = dict.fromkeys(path for one in given if isinstance(one, list) for path in one if isinstance(path, str))
        read = {path: self._text(AUTHORITIES, path, "certificates in PEM form") for path in paths}
        problems = [problem for _text, problem in read.values() if problem]
        return {path: text for path, (text, problem) in read.items() if not problem}, problems

    def _given(self, host, task_vars, options):
        """Return what the inventory, the command and the play give a host, templated when it is asked for."""
        hostvars = task_vars["hostvars"][host]
        names = [name for name in _play_vars(self._task) if name in options and name not in hostvars]
        more = {name: task_vars[name] for name in names if name in task_vars}
        return _Joined(hostvars, more)

    def _certificates(self, groups, variables):
        """Return what was read of each edge's certificate, and the keys apart."""
        pairs, keys = {}, {}
        for host in groups.get("edge", []):
            given = [variables[host].get(name) for name in CERTIFICATE]
            chain, key = (path if isinstance(path, str) else "" for path in given)
            if not chain and not key:
                continue
            text, problem = self._text(CERTIFICATE[0], chain)
            keys[host], key_problem = self._text(CERTIFICATE[1], key)
            pairs[host] = {"certificate_file": chain, "certificate": text, "certificate_problem": problem}
            pairs[host].update({"key_file": key, "key_problem": key_problem})
        return pairs, keys

    def _files(self, groups, variables):
        """Return why further files of each edge cannot be read, the names in those of passwords, and those unhashed."""
        found, people, unhashed = {}, {}, {}
        for host in groups.get("edge", []):
            paths = {name: variables[host].get(name) for name in FILES}
            texts = {name: self._text(name, path, FILES[name]) for name, path in paths.items() if isinstance(path, str)}
            found[host] = [problem for _text, problem in texts.values() if problem]
            passwords, problem = texts.get(PASSWORDS, ("", ""))
            if paths[PASSWORDS] and not problem:
                lines = [line for line in passwords.splitlines() if line and not line.startswith("#")]
                people[host] = [line.partition(":")[0] for line in lines]
                unhashed[host] = [line.partition(":")[0] for line in lines if not HASHED.fullmatch(line)]
        return found, people, unhashed

    def _text(self, variable, path, wanted="a file in PEM form"):
        """Return a file's text, decrypted where ansible-vault encrypted it, or why there is none."""
        if not path:
            return "", ""
        full = os.path.expanduser(path)
        if not os.path.isabs(full):
            right = os.path.join(self._loader.get_basedir(), path)
            return "", f"{variable} is {path}; wanted a path that begins with /; set {variable} to {right}"
        try:
            with open(full, "rb") as file:
                raw = file.read()
            raw = self._loader._vault.decrypt(raw) if is_encrypted(raw) else raw
            return raw.decode(), ""
        except (OSError, AnsibleError, ValueError) as error:
            why = control_runner.why(error)
            return "", (
                f"{variable} is {path}, which cannot be read on the control node ({why}); wanted {wanted}; "
                f"set {variable} to one"
            )


class _Joined:
    def __init__(self, first, more):
        self._first, self._more = first, more

    def __iter__(self):
        return iter([*self._first, *self._more])

    def __getitem__(self, name):
        return self._more[name] if name in self._more else self._first[name]


def _reached(host, hostvars):
    """Return at which address and port ssh reaches a host, as far as the inventory says; nothing where it does not."""
    words = ("address", ("ansible_host", "ansible_ssh_host"), host), ("port", ("ansible_port", "ansible_ssh_port"), 22)
    with contextlib.suppress(AnsibleError):  # which Ansible says where it goes there
        if hostvars.get("ansible_connection", "ssh") not in ("ssh", "smart"):
            return {}
        found = {what: str(next(filter(None, map(hostvars.get, names)), usual)) for what, names, usual in words}
        ways = [str(hostvars.get(name, "")) for name in SSH_ARGS]
        # Behind a host that is jumped over an address may be that of another behind another.
        return {**found, "address": ""} if JUMPS.search(" ".join(ways)) else found
    return {}


def _play_vars(task):
    parent = task._parent
    while parent is not None:
        play = getattr(parent, "_play", None)
        if play is not None:
            return list(play.vars)
        parent = getattr(parent, "_parent", None)
    return []


def _about(value):
    """Return what the module may know of a secret, which is not the secret."""
    kinds = (str, bool, int, list, tuple)
    parts = value if isinstance(value, dict) else {}
    kind = "none" if value is None else next((k for k in kinds if isinstance(value, k)), dict).__name__
    return {
        "kind": "list" if kind == "tuple" else UNREAD if _is_unread(value) else kind,
        "odd": {str(name): why for name, why in ((name, _odd(one)) for name, one in parts.items()) if why},
        "addresses": sorted(str(name) for name, one in parts.items() if ADDRESS.fullmatch(str(one))),
        "is_empty": value in (None, ""),
        "is_plain": bool(HEADER.fullmatch(str(value))),
        "length": len(str(value)),
        "names": sorted(map(str, value)) if isinstance(value, dict) else [],
        "mark": hashlib.blake2b(str(value).encode(), key=MARK, digest_size=8).hexdigest(),
    }


def _about_secret(name, value):
    """Return what the module may know of a variable's secret, and where it has not the form that it needs."""
    about = _about(value)
    places = enumerate(value if isinstance(value, list) else [value] if value not in (None, "") else [])
    if name in SHAPES and not isinstance(value, dict):
        about["odd"] = {str(n): "odd" for n, one in places if not SHAPES[name].fullmatch(_text_of(one))}
    return about


def _text_of(value):
    return value if isinstance(value, str) else ""


def _is_unread(value):
    """Whether a text is what ansible-vault wrote, without the tag by which Ansible decrypts it."""
    return isinstance(value, str) and value.lstrip().startswith("$ANSIBLE_VAULT;")


def _odd(value):
    """Return why a part of a secret is no text of one line; empty where it is one."""
    if isinstance(value, (bool, int, float)):
        return NUMBER
    if not isinstance(value, str):
        return "empty" if value is None else "no text"
    if _is_unread(value):
        return UNREAD
    return "empty" if not value else LINES if re.search(r"[\r\n]", value) else ""


def _without_secrets(name, value):
    """Return a value without the secrets that may be part of it: those of an environment, and passwords."""
    if name in ENVIRONMENTS:
        return _without_values(value)
    if name == MODELS:
        return _without_environments(value)
    if name == ENDPOINTS:
        return _without_keys(value)
    if name == TOOL_SERVERS:
        return _without_headers(value)
    if name == PROXY:
        return _without_logins(value)
    return _without_passwords(value) if name == LOGINS else value


def _without_logins(value):
    """Return a proxy's settings, however they were written, without what its addresses hold of logins."""
    if isinstance(value, list):
        return [_without_logins(one) for one in value]
    if isinstance(value, dict):
        return {key: _without_logins(one) for key, one in value.items()}
    if not isinstance(value, str) or "@" not in value:
        return value
    login, _at, place = value.rpartition("@")
    scheme, separator, login = login.rpartition("://")
    return f"{scheme}{separator}{'(secret)' if PLAIN_LOGIN.fullmatch(login) else '(not plain)'}@{place}"


def _without_values(environment):
    """Return an environment's names, each with no more of its value than whether it is a text, and of one line."""
    told = {True: LINES, False: ""}
    if isinstance(environment, list):
        return [_without_values(one) for one in environment]
    if not isinstance(environment, dict):  # as others write one: NAME=value
        name, equals, _value = str(environment).partition("=")
        return f"{name}=(secret)" if equals else environment if environment in (None, "") else "(secret)"
    return {
        str(key): told[bool(re.search(r"[\r\n]", str(one)))] if isinstance(one, (str, int, float)) else []
        for key, one in environment.items()
    }


def _without_environments(value):
    """Return models, however they were written, without the values of their environments."""
    if isinstance(value, list):
        return [_without_environments(one) for one in value]
    if isinstance(value, dict):
        return {
            key: _without_values(one) if key == "environment" else _without_environments(one)
            for key, one in value.items()
        }
    return value


def _without_keys(value, part=""):
    """Return endpoints, however they were written, with nothing but what is no secret; one key is told from another."""
    if isinstance(value, list):
        return [_without_keys(one, part) for one in value]
    if isinstance(value, dict):
        return {key: _without_keys(one, key) for key, one in value.items()}
    if value in (None, "") or isinstance(value, bool):
        return value
    if part == "key":
        if isinstance(value, (int, float)):
            return NUMBER
        about = _about(value)
        return f"secret-{about['mark']}" if about["is_plain"] else "(not plain)"
    if part in ("", *ENDPOINT_PARTS):
        return re.sub(r"//[^/@]*@", "//(secret)@", value) if isinstance(value, str) else value
    return "(secret)"


def _without_headers(value):
    """Return tool servers, however they were written, without keys, and of headers whether nginx can hold each."""
    if isinstance(value, list):
        return [_without_headers(one) for one in value]
    if not isinstance(value, dict) or not isinstance(value.get("headers"), dict):
        return _without_keys(value)
    odd = {name: not (isinstance(one, str) and HEADER_VALUE.fullmatch(one)) for name, one in value["headers"].items()}
    headers = {str(name): "(not plain)" if is_odd else "(secret)" for name, is_odd in odd.items()}
    return {**_without_keys(value), "headers": headers}


def _without_passwords(value, is_shown=False):
    """Return logins with nothing but their registries and names, however they were written."""
    if isinstance(value, list):
        return [_without_passwords(one) for one in value]
    if isinstance(value, dict):
        return {key: _without_passwords(one, key in ("registry", "username")) for key, one in value.items()}
    if is_shown or value in (None, "") or isinstance(value, bool):
        return value
    return _odd(value) if _odd(value) in (NUMBER, LINES) else "(secret)"


def _groups(given):
    """Return the groups with hosts that have variables: those of a file at which Ansible gave up have none."""
    everybody = set(map(str, given["all"]))
    return {name: [host for host in map(str, hosts) if host in everybody] for name, hosts in given.items()}


def _sources(task_vars, options=()):
    """Return where the inventory was read from, and why that failed where it did."""
    found = []
    for source in task_vars.get("ansible_inventory_sources") or []:
        if "," not in source and not os.path.exists(source):
            missing = "does not exist; wanted a file or a folder; give its path with -i"
            found.append({"path": source, "problem": missing})
            continue
        found.append({"path": source, "problem": ""})
        files = sorted(glob.glob(os.path.join(glob.escape(source), "*"))) if os.path.isdir(source) else [source]
        for path in files:
            if os.path.isfile(path) and path.endswith(YAML):
                problem = _why_not_yaml(path, options)
                found += [{"path": path, "problem": problem}] if problem else []
            elif os.path.isfile(path) and (path == source or "." not in os.path.basename(path)):
                problem = _why_not_ini(path) or _why_not_by_name(path)
                found += [{"path": path, "problem": problem}] if problem else []
        beside = source if os.path.isdir(source) else os.path.dirname(source)
        for folder, kind in _folders_of_variables(beside):
            names = glob.glob(os.path.join(glob.escape(folder), "**"), recursive=True)
            misnamed = os.path.basename(folder) if os.path.basename(folder) != kind else ""
            for path in sorted(name for name in names if os.path.isfile(name)):
                first, inside, _rest = os.path.relpath(path, folder).partition(os.sep)
                name, ending = (first, os.path.splitext(path)[1]) if inside else os.path.splitext(first)
                told = {"path": path, "problem": "", "kind": kind, "name": name}
                if ending in YAML and misnamed:
                    found.append({**told, "unread": f"Ansible reads no folder {misnamed}; rename it to {kind}"})
                elif ending in YAML:
                    problem = _not_as_meant(path, options, is_inventory=False)
                    found.append({**told, "problem": problem, "unread": _read_instead(folder, first)})
                elif ending in OF_EDITORS or ending.lower() in YAML:
                    name = name if inside else os.path.splitext(name)[0] if name.endswith(YAML) else name
                    why = f"Ansible reads no files that end in {ending}; take that from its name"
                    found.append({**told, "name": name, "unread": why})
    return found


def _folders_of_variables(beside):
    """Yield each folder of variables with the name by which Ansible reads one: also those whose own is nearly that."""
    there = glob.glob(os.path.join(glob.escape(beside), "*"))  # nothing of a folder that one may enter and not list
    for name in sorted({"group_vars", "host_vars", *map(os.path.basename, there)}):
        plain = FOLDER.fullmatch(name)
        if plain:
            yield os.path.join(beside, name), f"{plain['of'].lower()}_vars"


def _read_instead(folder, first):
    """Return why Ansible leaves a file of variables aside: of one name it reads the first in its own order."""
    stem, ending = os.path.splitext(first)
    others = [f"{stem}{one}" for one in ("", *YAML) if os.path.exists(os.path.join(folder, f"{stem}{one}"))]
    if ending not in YAML or others[0] == first:
        return ""
    other = os.path.join(folder, others[0])
    is_folder = os.path.isdir(other)
    cure = "move it into that folder" if is_folder else "leave one of them"
    return f"of one name Ansible reads {other}{os.sep if is_folder else ''} alone; {cure}"


def _folder(sources, otherwise):
    """Return the folder for a run's own files: one, beside the first inventory, however many there are."""
    inventories = [one["path"] for one in sources if "kind" not in one]
    paths = [os.path.abspath(path) for path in inventories if os.path.exists(path)]
    beside = next((path if os.path.isdir(path) else os.path.dirname(path) for path in paths), otherwise)
    return os.path.join(beside, ".gpuchat")


def _why_not_by_name(path):
    """Return why Ansible takes an inventory in YAML for another: by how its name ends; '' where it does not."""
    ending = os.path.splitext(path)[1]
    if ending in ("", *YAML):
        return ""
    with open(path, "rb") as file:
        raw = file.read()
    try:
        content = control_files.loaded(raw)
    except ValueError:
        return ""
    if not isinstance(content, dict) or not {"all", "children", "hosts"} & set(map(str, content)):
        return ""
    return f"holds YAML and ends in {ending}, as which Ansible reads none; name it {os.path.splitext(path)[0]}.yml"


def _why_not_ini(path):
    """Return why Ansible leaves an inventory of another form than YAML's aside; '' where it reads it."""
    with open(path, "rb") as file:
        raw = file.read()
    if not SECTION.search(raw) or is_encrypted(raw) or raw.startswith(b"#!") or os.access(path, os.X_OK):
        return ""  # a program, or of a form that another plugin reads
    try:
        inventory_loader.get("ini").parse(InventoryData(), DataLoader(), path)
    except (AnsibleError, ValueError) as error:  # of which it merely warns
        # What follows may be the value of a secret.
        why = re.sub(
            r"(got: [\w.-]*).*", r"\1 ...", control_runner.why(error).splitlines()[0].rpartition("inventory: ")[2]
        )
        return f"is no INI that Ansible reads ({why}); wanted lines such as name=value without spaces; fix that line"
    return ""


def _why_not_yaml(path, options=()):
    with open(path, "rb") as file:
        raw = file.read()
    if is_encrypted(raw):
        return ""
    try:
        content = control_files.loaded(raw)
    except ValueError as error:
        if SECTION.search(raw) and not raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return (
                "holds INI and ends as YAML does; give it a name without an ending, such as hosts, or write it as YAML"
            )
        return str(error)
    if not isinstance(content, dict):
        return "holds no mapping of groups; wanted one that begins with all:; see inventories/single-host"
    return _no_mapping(content) or _not_as_meant(path, options)


def _no_mapping(groups):
    """Return why Ansible would leave an inventory aside: a group, or one of its parts, that is no mapping."""
    for name, group in groups.items() if "plugin" not in groups else ():
        parts = group if isinstance(group, dict) else {"": group}
        for part in ("", "hosts", "children", "vars"):
            if parts.get(part) is not None and not isinstance(parts[part], dict):
                where = f"{part} of the group {name}" if part else f"the group {name}"
                return f"has no mapping as {where}; wanted one, such as {part or 'hosts'}: {{server: {{}}}}"
        for host, given in (parts.get("hosts") or {}).items():
            if given and not isinstance(given, dict):
                return f"has no mapping as the host {host}; wanted one, such as {host}: {{ansible_host: 10.0.0.5}}"
            if given and isinstance(given.get("vars"), dict):
                return f"has vars in the host {host}, whose variables stand right below its name; take that line away"
        odd = [one for one in (name, *(parts.get("hosts") or ())) if not isinstance(one, str)]
        if odd:
            return f"names a host or a group {odd[0]}, which YAML reads as no text; write that name in quotes"
        for part in parts:
            if part not in ("", *PARTS):
                near = control_runner.shared("module_utils.gpuchat.core.names").nearest(str(part), PARTS)
                under = "children" if isinstance(parts[part], dict) else "vars"
                return f"has {part} in the group {name}, where Ansible reads {', '.join(PARTS)} alone; " + (
                    f"name it {near}" if near else f"put it under {under}:, or take it away"
                )
        found = _no_mapping(parts.get("children") or {})
        if found:
            return found
    return ""


def _not_as_meant(path, options, is_inventory=True):
    """Return where a file says one thing twice, a number in base 8, or variables where none are read; '' if nowhere."""
    try:
        node = control_files.composed(pathlib.Path(path).read_bytes())
    except (ValueError, OSError):
        return ""  # a callback says so, or it is encrypted
    twice, octal = control_files.named_twice(node), control_files.octal(node, options)
    if twice:
        name, first, second = twice
        return f"names {name} twice, in lines {first} and {second}; wanted it once; take one of them away"
    if octal:
        name, line = octal  # and not the number, which may be a secret
        return (
            f"has a number with a 0 before it for {name} in line {line}, which YAML reads in base 8, so 010 is 8; "
            "wanted one without, or a text; write it so, or in quotes"
        )
    below = () if is_inventory else control_files.below_vars(node, options)
    if below:
        return (
            "has {} in line {} below vars, as an inventory has it, and in a file of variables it has no effect there; "
            "begin its line with it"
        ).format(*below)
    return ""


def _specifications():
    """Return each role's options."""
    found = control_files.of_roles("meta/argument_specs.yml")
    return {role: next(iter(said["argument_specs"].values()))["options"] for role, said in found.items()}
