"""The keys of options and modifiers, and the attributes that they are."""

from __future__ import annotations

# Options of every method that makes a deployment: key, attribute of Options.  `check-only` is an
# addition: look for what would come, and deploy nothing.
OPTION_FLAGS = (
    ("dry-run", "dry_run"), ("cache-only", "cache_only"), ("download-only", "download_only"),
    ("allow-inactive", "allow_inactive"), ("idempotent-layering", "idempotent"),
    ("lock-finalization", "lock_finalization"), ("check-only", "only_check"),
)  # fmt: skip
# Additions of ours: sources to use for one change.
OPTION_LISTS = (("enable-sources", "enable_sources"), ("disable-sources", "disable_sources"))
INITIATOR = "initiating-command-line"

# Modifiers of UpdateDeployment: key, attribute of Change.
MODIFIER_LISTS = {
    "install-packages": "install",
    "uninstall-packages": "uninstall",
    "override-remove-packages": "override_remove",
    "override-reset-packages": "override_reset",
    "debconf": "debconf",
    "architectures": "architectures",
}
MODIFIER_FILES = {
    "install-local-packages": "install_local",
    "install-fileoverride-local-packages": "install_fileoverride_local",
    "override-replace-local-packages": "override_replace_local",
}
