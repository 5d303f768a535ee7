from hpsearch.worker.environment import child_environment


def test_token_and_other_secrets_stay_with_the_daemon() -> None:
    environ = {
        "HPSEARCH_TOKEN": "s3cret",
        "AWS_SECRET_ACCESS_KEY": "x",
        "PATH": "/bin",
        "LC_ALL": "C",
        "CUDA_HOME": "/c",
    }
    kept = child_environment(environ, threads=1)
    assert "s3cret" not in kept.values()
    assert not {"HPSEARCH_TOKEN", "AWS_SECRET_ACCESS_KEY"} & set(kept)
    assert (kept["PATH"], kept["LC_ALL"], kept["CUDA_HOME"]) == ("/bin", "C", "/c")


def test_math_libraries_get_the_slots_threads_and_openblas_one() -> None:
    kept = child_environment({"OMP_NUM_THREADS": "64"}, threads=3)
    assert kept["OMP_NUM_THREADS"] == kept["MKL_NUM_THREADS"] == "3"
    assert kept["OPENBLAS_NUM_THREADS"] == "1"
