"""Which variables of the daemon's environment training may see."""

from collections.abc import Mapping

_NAMES = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP",
    "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
    "http_proxy", "https_proxy", "no_proxy", "all_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
})  # fmt: skip
_PREFIXES = (
    "LC_", "PYTHON", "CUDA_", "CUDNN_", "CUBLAS_", "NVIDIA_", "NCCL_", "OMP_", "MKL_", "OPENBLAS_", "KMP_",
    "GOMP_", "TORCH_", "PYTORCH_", "XDG_", "SSL_CERT_", "COVERAGE_",
)  # fmt: skip
_NEVER = frozenset({"PYTHONINSPECT"})  # would keep a child waiting at a prompt


def child_environment(environ: Mapping[str, str], threads: int) -> dict[str, str]:
    """An allow-list, so that no token of the daemon reaches a user's code. `threads` sizes the math libraries.

    OpenBLAS starts its threads at import, and a process with threads can't be forked safely: it gets one.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if (name in _NAMES or name.startswith(_PREFIXES)) and name not in _NEVER
    }
    # Deterministic cuBLAS needs a fixed workspace, set before CUDA starts (PyTorch's notes on randomness).
    kept.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return {
        **kept,
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
    }
