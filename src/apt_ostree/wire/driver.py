"""The program that has taken updates over, as it is kept in /run: it lasts until the reboot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apt_ostree.errors import AptOstreeError
from apt_ostree.system import fs
from apt_ostree.wire.glib import GLib

FILE = Path("apt-ostree/update-driver.gv")  # below the runtime directory
_NAME, _UNIT = "driver-name", "driver-sd-unit"


@dataclass(frozen=True, slots=True)
class UpdateDriver:
    """`unit` is the systemd unit that the program runs in."""

    name: str
    unit: str

    def as_dict(self) -> dict[str, Any]:
        return {_NAME: self.name, _UNIT: self.unit}


def store(runtime: Path, driver: UpdateDriver) -> None:
    """Raises AptOstreeError for a driver without a name or a unit."""
    if not driver.name:
        raise AptOstreeError("update driver name not provided")
    if not driver.unit:
        raise AptOstreeError("could not find caller systemd unit")
    path = runtime / FILE
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    values = {key: GLib.Variant("s", value) for key, value in driver.as_dict().items()}
    fs.write_atomic(path, GLib.Variant("a{sv}", values).get_data_as_bytes().get_data())


def load(runtime: Path) -> UpdateDriver | None:
    """The driver, None where there is none.  Raises AptOstreeError for a file that names none."""
    path = runtime / FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    kind = GLib.VariantType("a{sv}")
    variant = GLib.Variant.new_from_bytes(kind, GLib.Bytes.new(data), False)
    found = variant.unpack() if variant.is_normal_form() else {}
    for key, what in ((_NAME, "name"), (_UNIT, "systemd unit")):
        if not isinstance(found.get(key), str) or not found[key]:
            raise AptOstreeError(f"could not find update driver {what} in {path}")
    return UpdateDriver(found[_NAME], found[_UNIT])
