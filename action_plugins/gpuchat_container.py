# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders a container's files and keeps its image's digest, as the plugins of gpuchat_files and gpuchat_image do."""

from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_container`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        files, image = self._sibling("gpuchat_files"), self._sibling("gpuchat_image")
        name = self._task.args.get("image")
        args = image.prepare(files.prepare(dict(self._task.args), task_vars), name, task_vars)
        # Whole files stay out of the host's journal.
        quiet = {**task_vars, "ansible_no_target_syslog": True}
        result = image.execute(args, quiet)
        image.record(args, name, result)
        return result

    def _sibling(self, name):
        """Return another action of this collection, whether that is installed or a checkout."""
        return self._shared_loader_obj.action_loader.get(
            self._task.action.rpartition("gpuchat_container")[0] + name,
            task=self._task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
            collection_list=self._task.collections,
        )
