"""Treefiles and lockfiles: what a compose is asked for.

Start at `include.load`; the value it gives is `schema.Treefile`.  `inputs.digest`, `sources.find`,
`restrict.for_compose`, `version.next_version` and `lock.load` work on it or beside it.
"""
