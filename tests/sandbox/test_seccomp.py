from __future__ import annotations

from apt_ostree.sandbox import seccomp
from apt_ostree.sandbox.policy import (
    CAPABILITY_REASONS,
    DKMS,
    DRACUT,
    MAINTAINER,
    POSTPROCESS,
    TMPFILES,
)


def test_the_filter_is_a_bpf_program():
    data = seccomp.compiled_filter()
    assert len(data) % 8 == 0  # struct sock_filter
    assert len(data) // 8 < 4096  # BPF_MAXINSNS
    assert seccomp.compiled_filter() is data


def test_policies_use_only_capabilities_with_a_reason():
    for policy in (MAINTAINER, POSTPROCESS, DRACUT, TMPFILES, DKMS):
        assert set(policy.capabilities) <= set(CAPABILITY_REASONS)
        assert policy.timeout_s
    assert not {"CAP_SYS_ADMIN", "CAP_MKNOD", "CAP_DAC_READ_SEARCH"} & set(CAPABILITY_REASONS)
