"""Studies on a real Ray cluster of two nodes and on a real SLURM, both on this machine; a node or a task is lost during a run."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import ROOT
from test_kfold import TABLES, TINY

from cracklab import run_folder
from cracklab.cli import main
from cracklab.study.aggregate import aggregate
from cracklab.study.folder import Study

pytestmark = pytest.mark.cluster

GRID = "study: {grid: {seed_everything: [1, 2]}}\n"
LONG = [*TINY, "--data.layout.train=100", "--trainer.max_epochs=40"]


@pytest.fixture(scope="module")
def environment():
    return os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory) -> Path:
    """The runs of the study, as ordinary runs."""
    folder = tmp_path_factory.mktemp("by hand")
    for seed in (1, 2):
        out = folder / "runs" / f"seed_everything={seed}"
        assert main(["fit", *LONG, f"--seed_everything={seed}", "--out", str(out)]) == 0
        assert main(["test", "--config", str(out / run_folder.CONFIG), "--ckpt_path", str(out / run_folder.BEST)]) == 0
    return folder


def start(folder: Path, environment, *more: str) -> subprocess.Popen[str]:
    config = folder / "grid.yaml"
    config.write_text(GRID)
    call = ["study", *LONG, "--config", str(config), "--out", str(folder / "study"), *more]
    return subprocess.Popen(
        [sys.executable, "-m", "cracklab", *call],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def running(folder: Path, process: subprocess.Popen[str], number: int) -> list[Path]:
    """Wait until `number` runs have finished an epoch and have many left; return their folders."""
    while process.poll() is None:
        tables = folder.glob("study/runs/*/metrics.csv")
        found = [path.parent for path in tables if 2 <= len(path.read_text().splitlines()) < 30]
        if len(found) >= number:
            return found
        time.sleep(0.05)
    pytest.fail(f"the study ended too early: {process.communicate()[0]}")


def assert_same_tables(study: Path, by_hand: Path) -> None:
    for name in ("study.yaml", "jobs"):
        shutil.rmtree(by_hand / name) if (by_hand / name).is_dir() else (by_hand / name).unlink(missing_ok=True)
        (shutil.copytree if (study / name).is_dir() else shutil.copy)(study / name, by_hand / name)
    assert aggregate(Study(by_hand)) == 2
    for name in TABLES[:4]:
        assert (study / name).read_bytes() == (by_hand / name).read_bytes()
    assert not [path for path in (study / "runs").rglob(".*")]


def fits(study: Path) -> int:
    return sum(log.read_text().count("$ cracklab fit") for log in study.glob("jobs/*.log"))


def test_the_run_of_a_lost_ray_node_resumes_on_another(tmp_path, environment, by_hand, monkeypatch):
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", environment["PYTHONPATH"])
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        second = cluster.add_node(num_cpus=1)
        process = start(tmp_path, environment, "--executor=ray", f"--address={cluster.address}")
        running(tmp_path, process, 2)  # one on each node
        cluster.remove_node(second, allow_graceful=False)
        output, _ = process.communicate()
    finally:
        cluster.shutdown()
    assert process.returncode == 0, output
    assert fits(tmp_path / "study") > 2, "no run was lost with the node"
    assert_same_tables(tmp_path / "study", by_hand)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory, environment):
    """A controller and a node of SLURM; yields the environment variables that commands need to find them."""
    if os.geteuid() or not shutil.which("slurmctld") or not shutil.which("munged"):
        pytest.skip("needs root, and the packages slurm-wlm and munge")
    folder, host = tmp_path_factory.mktemp("slurm"), socket.gethostname()
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as server:
            ports.append(server.getsockname()[1])
    (folder / "slurm.conf").write_text(f"""
ClusterName=cracklab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
""")
    (folder / "state").mkdir()
    Path("/run/munge").mkdir(exist_ok=True)
    shutil.chown("/run/munge", "munge", "munge")
    found = environment | {"SLURM_CONF": str(folder / "slurm.conf")}
    munge = subprocess.Popen(["runuser", "-u", "munge", "--", "munged", "--foreground"])
    time.sleep(1)
    daemons = [
        subprocess.Popen([name, "-D", "-f", found["SLURM_CONF"]], env=found, stdout=log, stderr=log)
        for name in ("slurmctld", "slurmd")
        for log in [(folder / f"{name}.log").open("w")]
    ]
    for _ in range(60):
        state = subprocess.run(["sinfo", "-h", "-o", "%t"], env=found, capture_output=True, text=True, check=False)
        if state.stdout.strip() == "idle":
            break
        time.sleep(0.5)
    else:
        pytest.fail("\n".join(path.read_text()[-2000:] for path in folder.glob("*.log")) + state.stderr)
    yield found
    for daemon in [*daemons, munge]:
        daemon.terminate()
        daemon.wait(30)


def test_a_cancelled_slurm_task_is_a_failed_run_that_the_next_start_resumes(tmp_path, environment, slurm, by_hand):
    pytest.importorskip("submitit")
    options = ["--executor=slurm", "--slurm", "time=60", "cpus_per_task=1"]
    process = start(tmp_path, slurm, *options)
    victim = running(tmp_path, process, 1)[0]
    number = [one.folder for one in Study(tmp_path / "study").plan.runs].index(f"runs/{victim.name}")
    tasks = subprocess.run(
        ["squeue", "-h", "--array", "-o", "%i"], env=slurm, capture_output=True, text=True, check=True
    ).stdout.split()
    subprocess.run(["scancel", next(task for task in tasks if task.endswith(f"_{number}"))], env=slurm, check=True)
    output, _ = process.communicate()
    assert process.returncode == 1, output
    assert f"{victim.name} failed" in output
    assert "1 of 2 runs are finished" in output
    again = start(tmp_path, slurm, *options)
    output, _ = again.communicate()
    assert again.returncode == 0, output
    assert "1 finished, 1 to do" in output
    log = (tmp_path / "study" / "jobs" / f"{victim.name}.log").read_text().splitlines()
    assert ["--ckpt_path" in line for line in log if line.startswith("$ cracklab fit")] == [False, True]
    assert_same_tables(tmp_path / "study", by_hand)


def test_a_preempted_slurm_task_is_requeued_and_resumes(tmp_path, environment, slurm, by_hand):
    pytest.importorskip("submitit")
    process = start(tmp_path, slurm, "--executor=slurm", "--slurm", "time=60", "array_parallelism=1")
    running(tmp_path, process, 1)
    task = subprocess.run(
        ["squeue", "-h", "-t", "R", "-o", "%i"], env=slurm, capture_output=True, text=True, check=True
    )
    subprocess.run(["scancel", "--signal=USR2", task.stdout.split()[0]], env=slurm, check=True)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert fits(tmp_path / "study") == 3
    assert_same_tables(tmp_path / "study", by_hand)


def test_srun_starts_two_processes_of_one_run(tmp_path, slurm):
    out = tmp_path / "run"
    call = ["fit", *TINY, "--trainer.devices=2", "--trainer.strategy=ddp", "--out", str(out)]
    done = subprocess.run(
        ["srun", "--nodes=1", "--ntasks-per-node=2", "--job-name=cracklab", sys.executable, "-m", "cracklab", *call],
        env=slurm,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert '"processes": 2' in (out / run_folder.ENVIRONMENT).read_text()


def test_torchrun_starts_two_processes_of_one_run(tmp_path, environment):
    out = tmp_path / "run"
    call = ["fit", *TINY, "--trainer.devices=2", "--trainer.strategy=ddp", "--out", str(out)]
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node=2", "-m", "cracklab"]  # the same as `torchrun`
    done = subprocess.run(
        [sys.executable, *launcher, *call], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert '"processes": 2' in (out / run_folder.ENVIRONMENT).read_text()
