# The image that audits: auditor in one environment, the packages of the audited program in another.
#
#   docker build -t auditor:0.1.0 .                                              CUDA build of torch
#   docker build -t auditor:0.1.0 --build-arg LOCK=cpu .                         CPU build of torch
#   docker build -t my-audit --build-arg USER_LOCK=user.txt .                    the project's own lockfiles/user.txt
#
# CUDA 13.0 is what torch's wheels on the package index are built for; they bring their own cuDNN.
ARG BASE_IMAGE=nvidia/cuda:13.0.3-base-ubuntu22.04@sha256:73ab6dfb3814a5097cd456736e70650ef9dc72343be4117d0400de78168760fe

FROM ${BASE_IMAGE} AS system
COPY container/install-system-packages lockfiles/apt-*.txt /tmp/system/
RUN /tmp/system/install-system-packages /tmp/system && rm -r /tmp/system


FROM system AS build
# Where pip finds packages, for builders that do not reach the public index; kept out of the image.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
# A wheel's bytecode is compiled here: at run time the root is read-only.
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

COPY lockfiles/auditor.txt lockfiles/
RUN python3 -m venv /opt/auditor && /opt/auditor/bin/pip install --require-hashes -r lockfiles/auditor.txt

# What the audited program needs: the example's packages, or those of a project's own lock.
ARG LOCK=cuda
ARG USER_LOCK=
COPY wheels/ wheels/
COPY lockfiles/ lockfiles/
RUN python3 -m venv /opt/program && \
    /opt/program/bin/pip install --require-hashes --find-links wheels -r "lockfiles/${USER_LOCK:-${LOCK}.txt}"

COPY pyproject.toml README.md LICENSE ./
COPY auditor/ auditor/
COPY bin/ bin/
COPY checks/ checks/
RUN /opt/auditor/bin/pip install --no-deps --no-build-isolation --no-index .


FROM system
RUN useradd --uid 1000 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin auditor
COPY --from=build /opt/program /opt/program
COPY --from=build /opt/auditor /opt/auditor
COPY examples/ /opt/examples/
COPY container/entrypoint /usr/local/bin/auditor-entrypoint
# `python` is the program's, `auditor` is ours. The person who runs the container may have no entry in /etc/passwd, and
# the only place to write is /tmp: programs that ask for a home or a login name find them here.
ENV PATH=/opt/program/bin:/opt/auditor/bin:$PATH HOME=/tmp USER=auditor LOGNAME=auditor PYTHONUNBUFFERED=1
USER 1000:1000
WORKDIR /project
ENTRYPOINT ["/usr/local/bin/auditor-entrypoint"]
