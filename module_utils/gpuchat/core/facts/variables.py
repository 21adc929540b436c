# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Made by tools/inventory_variables.py from the roles; not to be edited by hand.
"""Which variables of the inventory the roles hand to an option: module -> option -> variables."""

from __future__ import annotations

# fmt: off
VARIABLES: dict[str, dict[str, tuple[str, ...]]] = {
    "gpuchat_accelerator": {
        "accelerator": (
            "gpuchat_accelerator",
        ),
        "branch": (
            "nvidia_driver_branch",
            "nvidia_driver_packages",
            "nvidia_driver_source",
        ),
        "branches": (
            "nvidia_driver_packages",
            "nvidia_driver_source",
        ),
        "install_driver": (
            "nvidia_driver_install",
        ),
        "open_modules": (
            "nvidia_driver_open_modules",
            "nvidia_driver_packages",
        ),
        "reboot": (
            "nvidia_driver_reboot",
        ),
        "signed_modules": (
            "nvidia_driver_source",
        ),
        "toolbox": (
            "gpuchat_toolbox",
        ),
    },
    "gpuchat_account": {
        "email": (
            "gpuchat_admin_email",
        ),
    },
    "gpuchat_acme": {
        "authority_file": (
            "edge_acme_authority_file",
        ),
        "challenge": (
            "edge_acme_challenge",
        ),
        "directory": (
            "edge_acme_directory",
        ),
        "dns_hook": (
            "edge_acme_dns_hook",
        ),
    },
    "gpuchat_api_clients": {
        "authority": (
            "edge_acme_authority_file",
        ),
        "resolve": (
            "gpuchat_domain",
            "verify_address",
        ),
    },
    "gpuchat_container": {
        "environment": (
            "lobehub_environment",
            "lobehub_feature_flags",
            "object_store_environment",
        ),
        "files.group": (
            "object_store_uid",
            "open_webui_uid",
        ),
        "files.owner": (
            "lobehub_uid",
            "object_store_uid",
            "open_webui_uid",
        ),
        "health.holds": (
            "gpuchat_admin_email",
            "gpuchat_signup",
            "open_webui_plugins",
        ),
        "image": (
            "lobehub_image",
            "object_store_image",
            "open_webui_image",
        ),
        "insecure_registries": (
            "gpuchat_insecure_registries",
        ),
        "lock_file": (
            "gpuchat_lock_file",
        ),
        "registry_logins": (
            "gpuchat_registry_logins",
        ),
        "registry_map": (
            "gpuchat_registry_map",
        ),
        "registry_mirrors": (
            "gpuchat_registry_mirrors",
        ),
        "supervisor": (
            "gpuchat_supervisor",
        ),
        "user": (
            "lobehub_uid",
            "object_store_uid",
            "open_webui_uid",
        ),
    },
    "gpuchat_container_gpus": {
        "supervisor": (
            "gpuchat_supervisor",
        ),
    },
    "gpuchat_database": {
        "is_backed_up": (
            "backup_target",
        ),
    },
    "gpuchat_docker_daemon": {
        "cdi": (
            "nvidia_container_toolkit_cdi",
        ),
        "default_runtime": (
            "nvidia_container_toolkit_default_runtime",
        ),
        "path": (
            "nvidia_container_toolkit_rootless_user",
        ),
        "state": (
            "nvidia_container_toolkit_state",
        ),
    },
    "gpuchat_endpoint_models": {
        "folder": (
            "gpuchat_folder",
        ),
    },
    "gpuchat_files": {
        "files": (
            "door_body_limit",
            "door_requests",
            "edge_certificate_file",
        ),
        "files.content": (
            "edge_acme_authority_file",
        ),
        "service.health.url": (
            "monitoring_alertmanager_port",
            "monitoring_prometheus_port",
            "monitoring_relay_port",
        ),
        "state": (
            "backup_target",
            "nvidia_container_toolkit_state",
            "watchdog_enabled",
        ),
    },
    "gpuchat_firewall": {
        "state": (
            "firewall_state",
        ),
        "undo_seconds": (
            "firewall_undo_seconds",
        ),
    },
    "gpuchat_image": {
        "insecure_registries": (
            "gpuchat_insecure_registries",
        ),
        "lock_file": (
            "gpuchat_lock_file",
        ),
        "name": (
            "lobehub_image",
            "nvidia_container_toolkit_trial_image",
            "object_store_image",
            "open_webui_image",
        ),
        "registry_logins": (
            "gpuchat_registry_logins",
        ),
        "registry_map": (
            "gpuchat_registry_map",
        ),
        "registry_mirrors": (
            "gpuchat_registry_mirrors",
        ),
        "supervisor": (
            "gpuchat_supervisor",
        ),
    },
    "gpuchat_load": {
        "address": (
            "verify_address",
        ),
        "api_key": (
            "gpuchat_api_key",
        ),
        "authority": (
            "edge_acme_authority_file",
        ),
        "domain": (
            "gpuchat_domain",
        ),
    },
    "gpuchat_membership": {
        "adopt": (
            "gpuchat_adopt_secrets",
        ),
        "folder": (
            "gpuchat_folder",
        ),
    },
    "gpuchat_model": {
        "connections_per_file": (
            "model_connections_per_file",
        ),
        "rate_limit": (
            "model_rate_limit",
        ),
        "token": (
            "model_token",
        ),
        "token_for": (
            "model_token_for",
        ),
        "toolbox": (
            "gpuchat_toolbox",
        ),
        "update": (
            "model_update",
        ),
        "verify": (
            "model_verify",
        ),
        "workers": (
            "model_workers",
        ),
    },
    "gpuchat_monitoring": {
        "stack.alertmanager_port": (
            "monitoring_alertmanager_port",
        ),
        "stack.clients": (
            "gpuchat_api_keys",
        ),
        "stack.name": (
            "gpuchat_domain",
        ),
        "stack.patience": (
            "monitoring_patience",
        ),
        "stack.prometheus_port": (
            "monitoring_prometheus_port",
        ),
        "stack.receivers": (
            "monitoring_receivers",
        ),
        "stack.relay_port": (
            "monitoring_relay_port",
        ),
        "stack.remote_secrets": (
            "monitoring_remote_write",
            "monitoring_remote_write_secrets",
        ),
        "stack.remotes": (
            "monitoring_remote_write",
        ),
        "stack.retention_size": (
            "monitoring_retention_size",
        ),
        "stack.retention_time": (
            "monitoring_retention_time",
        ),
        "stack.scrape_seconds": (
            "monitoring_scrape_seconds",
        ),
        "stack.ttft_target_seconds": (
            "monitoring_ttft_target_seconds",
        ),
    },
    "gpuchat_packages": {
        "apt_repository.key_fingerprint": (
            "docker_repository_key_fingerprint",
        ),
        "apt_repository.key_url": (
            "docker_repository_key_url",
            "docker_repository_url",
        ),
        "apt_repository.url": (
            "docker_repository_url",
        ),
        "conflicts": (
            "docker_source",
        ),
        "dnf_repository": (
            "nvidia_container_toolkit_repository_key_fingerprint",
            "nvidia_container_toolkit_repository_key_url",
            "nvidia_container_toolkit_repository_url",
        ),
        "dnf_repository.key_fingerprint": (
            "docker_repository_key_fingerprint",
        ),
        "dnf_repository.key_url": (
            "docker_repository_key_url",
            "docker_repository_url",
        ),
        "dnf_repository.url": (
            "docker_repository_url",
        ),
        "hints.repository": (
            "docker_repository_url",
            "docker_source",
        ),
        "hold": (
            "docker_source",
            "docker_version",
            "nvidia_driver_hold",
        ),
        "kernel_modules": (
            "docker_source",
        ),
        "packages": (
            "docker_source",
            "docker_version",
            "nvidia_driver_kernel",
            "nvidia_driver_source",
            "postgresql_packages",
        ),
        "packages.default": (
            "nvidia_container_toolkit_version",
        ),
        "refused_commands": (
            "docker_source",
        ),
        "refused_packages": (
            "docker_source",
            "nvidia_driver_kernel",
            "nvidia_driver_packages",
        ),
        "refused_releases": (
            "docker_source",
            "nvidia_driver_packages",
            "nvidia_driver_source",
            "postgresql_packages",
        ),
        "required_commands": (
            "docker_source",
            "gpuchat_supervisor",
        ),
        "space.docker_version": (
            "docker_version",
        ),
        "space.docker_versions": (
            "docker_source",
        ),
        "space.minimum_gib": (
            "docker_minimum_free_gib",
            "podman_minimum_free_gib",
            "uv_minimum_free_gib",
        ),
    },
    "gpuchat_postgresql": {
        "databases": (
            "gpuchat_interface",
        ),
        "major": (
            "postgresql_major",
        ),
        "settings": (
            "postgresql_settings",
        ),
    },
    "gpuchat_secrets": {
        "authority_file": (
            "gpuchat_authority_file",
        ),
        "file": (
            "gpuchat_secrets_file",
        ),
    },
    "gpuchat_served": {
        "folder": (
            "gpuchat_folder",
        ),
    },
    "gpuchat_verify": {
        "admin_password": (
            "gpuchat_admin_password",
        ),
        "api_key": (
            "gpuchat_api_key",
        ),
        "authority": (
            "edge_acme_authority_file",
        ),
        "lock_file": (
            "gpuchat_lock_file",
        ),
        "outside": (
            "gpuchat_probe_host",
            "verify_address",
            "verify_outside_address",
        ),
        "report_file": (
            "gpuchat_report_file",
        ),
        "site.address": (
            "verify_address",
        ),
        "site.admin_email": (
            "gpuchat_admin_email",
            "verify_sign_in",
        ),
        "site.answer": (
            "verify_answer",
        ),
        "site.domain": (
            "gpuchat_domain",
        ),
        "site.long_question": (
            "verify_long_question",
        ),
        "site.open_ports": (
            "verify_open_ports",
        ),
        "site.question": (
            "verify_question",
        ),
        "site.signup_open": (
            "gpuchat_signup",
        ),
    },
    "gpuchat_virtualenv": {
        "index_url": (
            "toolbox_index_url",
            "uv_index_url",
        ),
        "path": (
            "gpuchat_toolbox",
        ),
        "python": (
            "toolbox_python",
        ),
        "trusted_hosts": (
            "toolbox_trusted_hosts",
            "uv_trusted_hosts",
        ),
        "wheels": (
            "toolbox_wheels",
        ),
    },
    "gpuchat_vllm": {
        "api_key": (
            "gpuchat_vllm_engine_key",
        ),
        "cpu_image": (
            "vllm_cpu_image",
        ),
        "cpu_index_url": (
            "vllm_cpu_index_url",
        ),
        "cpu_packages": (
            "vllm_cpu_packages",
        ),
        "environment": (
            "vllm_environment",
        ),
        "extra_index_urls": (
            "uv_extra_index_urls",
        ),
        "image": (
            "vllm_image",
        ),
        "index_url": (
            "toolbox_index_url",
            "uv_index_url",
        ),
        "insecure_registries": (
            "gpuchat_insecure_registries",
        ),
        "lock_file": (
            "gpuchat_lock_file",
        ),
        "packages": (
            "vllm_packages",
        ),
        "prune": (
            "gpuchat_prune",
        ),
        "python": (
            "uv_python",
        ),
        "registry_logins": (
            "gpuchat_registry_logins",
        ),
        "registry_map": (
            "gpuchat_registry_map",
        ),
        "registry_mirrors": (
            "gpuchat_registry_mirrors",
        ),
        "requirements": (
            "vllm_requirements",
        ),
        "start_seconds": (
            "vllm_start_seconds",
        ),
        "stop_seconds": (
            "vllm_stop_seconds",
        ),
        "supervisor": (
            "gpuchat_supervisor",
        ),
        "torch_backend": (
            "uv_torch_backend",
        ),
        "trusted_hosts": (
            "toolbox_trusted_hosts",
            "uv_trusted_hosts",
        ),
        "uid": (
            "vllm_uid",
        ),
        "version": (
            "vllm_version",
        ),
    },
    "gpuchat_vllm_plan": {
        "args": (
            "vllm_args",
        ),
        "cpu_kv_cache_bytes": (
            "vllm_cpu_kv_cache_gib",
        ),
        "max_model_len": (
            "vllm_max_model_len",
        ),
        "reasoning_parser": (
            "vllm_reasoning_parser",
        ),
        "tool_call_parser": (
            "vllm_tool_call_parser",
        ),
        "vllm_version": (
            "vllm_version",
        ),
    },
}
