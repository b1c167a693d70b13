"""Refusals in the words of rpm-ostree, on which scripts match.

They are about what a request can say and stay as they are: files come as files, and a local
repository is pulled at its ref.
"""

FILEOVERRIDE_BY_NAME = "Non-local fileoverrides not implemented"
REPLACEMENT_BY_NAME = "Non-local replacement overrides not implemented yet"
REVISION_OF_LOCAL_REPO = "Revision overrides for transient local rebases not implemented yet"
