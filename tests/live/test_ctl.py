"""heraldctl, where it does more than print what the API says."""

import pytest


@pytest.mark.core
def test_health(world):
    for daemon in world.cluster.daemons:
        url = f"http://127.0.0.1:{daemon.admin_port}"
        assert world.ctl("health", url + "/readyz").stdout == "ok\n"
        assert world.ctl("health", url).stdout == "ok\n"  # /readyz is what it asks for
        missing = world.ctl("health", url + "/nothing", check=False)
        assert missing.returncode == 1 and "answers 404" in missing.stderr
    nobody = world.ctl("health", "http://127.0.0.1:1/readyz", check=False)
    assert nobody.returncode == 1 and "no answer" in nobody.stderr
    assert world.ctl("health", "https://127.0.0.1:1/", check=False).returncode == 2
    assert world.ctl("health", check=False).returncode == 2
