"""A host, as the tests that need one describe it."""

from cresset.host import Host

HOST = Host(
    uid=1000,
    gid=100,
    user="CORP\\nick",
    group="domain users",
    zone="Asia/Seoul",
    system="Linux",
    gpus=(),
    gpu_complaint="",
    engine="unix:///var/run/docker.sock",
    engine_memory=0,
    ca_bundle="",
    index_url="",
    extra_index_urls=(),
    hidden_indexes=(),
    trusted_hosts="",
    wheelhouse="/wheels",
    apt_mirror="http://mirror.example/debian",
    codename="bookworm",
    machine="x86_64",
)
