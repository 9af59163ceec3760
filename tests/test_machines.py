"""Machines that lack a home, a cache or an accelerator, or whose JAX is set up otherwise."""

import contextlib
import os
import pwd
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np
import pytest

import basin_jax as bj
from basin_jax import devices
from basin_jax.devices import cache_directory, expect_devices
from basin_jax.files import is_private


ADVICE = "set XDG_CACHE_HOME to a folder that you may write to"
NO_HOME = """
import os, pwd
def nobody(*args):
    raise KeyError("uid not found")
pwd.getpwuid = nobody
for name in ("HOME", "XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"):
    os.environ.pop(name, None)
import basin_jax.cli.main, jax
from basin_jax.devices import cache_directory
assert jax.config.jax_compilation_cache_dir == f"{cache_directory()}/xla"
print(cache_directory())
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A temporary folder that is empty, and no home."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME")

    def nobody(*args):
        raise KeyError("uid not found")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    found = devices.find_cache
    found.cache_clear()
    yield tmp_path
    found.cache_clear()


def test_a_container_without_home_and_passwd_entry_imports_and_says_what_it_uses(tmp_path):
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", NO_HOME], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == tmp_path / f"basin_jax-{os.geteuid()}"
    (line,) = done.stderr.splitlines()
    assert ADVICE in line


def test_the_temporary_cache_is_private_and_found_again(elsewhere):
    with pytest.warns(UserWarning, match=ADVICE):
        folder = cache_directory()
    assert folder.parent == elsewhere
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    devices.find_cache.cache_clear()
    with pytest.warns(UserWarning, match="there is no cache folder: Could not determine home"):
        assert cache_directory() == folder


@pytest.mark.parametrize("spoil", ["open", "link", "file"])
def test_no_temporary_cache_is_used_that_others_may_write_to(elsewhere, spoil):
    planted = elsewhere / f"basin_jax-{os.geteuid()}"
    if spoil == "link":
        (elsewhere / "theirs").mkdir()
        planted.symlink_to(elsewhere / "theirs")
    elif spoil == "file":
        planted.touch()
    else:
        planted.mkdir()
        planted.chmod(0o777)
    with pytest.warns(UserWarning, match=ADVICE):
        folder = cache_directory()
    assert folder != planted
    assert is_private(folder)


def test_a_cache_that_cannot_be_written_to_is_replaced(elsewhere, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    with pytest.warns(UserWarning, match=f"/proc/none.* cannot be used: .*{ADVICE}"):
        assert cache_directory().parent == elsewhere
    monkeypatch.setenv("XDG_CACHE_HOME", str(elsewhere / "read-only"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.warns(UserWarning, match=f"read-only/basin_jax cannot be written to.*{ADVICE}"):
        assert cache_directory().parent == elsewhere


def test_where_nothing_can_be_written_nothing_is_kept(elsewhere, monkeypatch):
    def nowhere():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    with pytest.warns(UserWarning, match=f"No usable temporary .* nothing is kept.*{ADVICE}"):
        assert not cache_directory().is_dir()


@pytest.mark.parametrize("value", ["", "relative", "~/cache"])
def test_a_cache_that_is_no_absolute_path_is_that_of_the_home(elsewhere, monkeypatch, value):
    monkeypatch.setenv("HOME", str(elsewhere))
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert cache_directory() == elsewhere / ".cache" / "basin_jax"


@pytest.mark.ci
def test_a_platform_that_is_not_there_is_refused_in_a_line(tmp_path):
    (tmp_path / "mine.py").write_text("import jax.numpy as jnp\nx = jnp.ones(3)\nsweep = None\n")
    done = subprocess.run(
        [sys.executable, "-m", "basin_jax", "run", "mine.py"],
        env=os.environ | {"JAX_PLATFORMS": "cuda"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    _, line = done.stderr.splitlines()  # after what is going on
    assert "no device, with JAX_PLATFORMS = 'cuda'" in line
    assert "allowed: to leave it out, cpu" in line


def test_no_sweep_is_traced_without_a_device(wells, monkeypatch):
    def none():
        raise RuntimeError("Unable to initialize backend 'cuda': no GPU\nand more")

    monkeypatch.setattr(jax, "local_devices", none)
    for use in (expect_devices, lambda: bj.trial(wells[0], 3)):
        with pytest.raises(ValueError, match=r"JAX finds no device, .*: no GPU\); allowed"):
            use()


class Diverging(bj.organisms.DoubleWell):
    """Some of its seeds end at infinity; it mixes types of numbers."""

    def loss(self, params, batch):
        steps = np.int32(3)
        return super().loss(params, batch) * (steps / 2)


SETTINGS = {
    "JAX_TRANSFER_GUARD=disallow": lambda: jax.transfer_guard("disallow"),
    "JAX_TRANSFER_GUARD=disallow_explicit": lambda: jax.transfer_guard("disallow_explicit"),
    "JAX_DISABLE_JIT=1": jax.disable_jit,
    "JAX_DEBUG_NANS=1": lambda: jax.debug_nans(True),
    "JAX_DEBUG_INFS=1": lambda: jax.debug_infs(True),
    "JAX_ENABLE_X64=1": lambda: jax.enable_x64(True),
    "JAX_NUMPY_DTYPE_PROMOTION=strict": lambda: jax.numpy_dtype_promotion("strict"),
    "JAX_DEFAULT_MATMUL_PRECISION=bfloat16": lambda: jax.default_matmul_precision("bfloat16"),
    "JAX_THREEFRY_PARTITIONABLE=0": lambda: jax.threefry_partitionable(False),
    "JAX_DEFAULT_PRNG_IMPL=rbg": lambda: jax.default_prng_impl("rbg"),
    "JAX_CHECK_TRACER_LEAKS=1": jax.check_tracer_leaks,
}


@pytest.fixture(scope="module")
def diverging():
    method = bj.methods.Gradient(learning_rate=0.6)
    return bj.Sweep(organism=Diverging(), method=method, num_steps=40)


def measured(sweep, folder):
    frame = bj.run(sweep, 32, folder, lanes=8).frame
    return frame.write_csv(), {n: v.tobytes() for n, v in bj.trial(sweep, 3).items()}


@pytest.fixture(scope="module")
def expected(diverging, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    found = measured(diverging, folder)
    verdicts = {*bj.load(folder).frame["verdict"]}
    assert "DIVERGED" in verdicts
    assert len(verdicts) > 1
    return found


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_users_settings_of_jax_change_no_bit(diverging, expected, tmp_path, setting):
    with SETTINGS[setting]() or contextlib.nullcontext():
        assert measured(diverging, tmp_path / "same") == expected
        # Of another class, which is traced anew.
        again = type("Diverging", (Diverging,), {"__module__": __name__})
        found = bj.digest_of(diverging.replace(organism=again()))
    assert found == bj.digest_of(diverging)
