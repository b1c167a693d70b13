#!/usr/bin/python3
"""Plan an install and print what it would do.  Usage: plan_install.py SYSROOT PACKAGE...

Nothing is changed.  Needs root, as everything that opens the repository of a system does.
"""

import sys
from pathlib import Path

from apt_ostree.errors import AptOstreeError
from apt_ostree.host import change
from apt_ostree.model.change import Change, Options
from apt_ostree.model.progress import Silent


def main() -> int:
    sysroot, *packages = sys.argv[1:]
    wanted = Change(install=tuple(packages))
    try:
        outcome = change.run(Path(sysroot), None, wanted, Options(dry_run=True), Silent())
    except AptOstreeError as err:
        print(f"{err.message} ({err.hint or 'no hint'})", file=sys.stderr)
        return err.exit_code
    plan = outcome.plan
    assert plan is not None  # a change of packages always has one
    for step in plan.steps:
        print(f"{step.action} {step.package.nevra}: {step.reason}")
    print(f"{plan.download_bytes} bytes to download, {plan.installed_bytes} more on disk")
    return 0


sys.exit(main())
