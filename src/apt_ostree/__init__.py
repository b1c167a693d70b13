"""apt-ostree: image-based Debian and Ubuntu with layered packages."""

__version__ = "2026.1"
