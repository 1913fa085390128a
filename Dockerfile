# iin in a container, from this folder alone:
#
#   docker build -t iin .
#   docker run --rm -v iin-cache:/cache -v "$PWD:/work" --user "$(id -u):$(id -g)" iin demo
#   docker run --rm --gpus all -v iin-cache:/cache -v "$PWD:/work" iin doctor --device cuda
#
# torch comes as pip finds it, with support for graphics cards. For processors alone, name torch's own index of small
# wheels: --build-arg PIP_EXTRA_INDEX_URL=ADDRESS.
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY iin_cli ./iin_cli
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
# Optional parts, as in pip install 'iin-cli[hub,umap]'.
ARG EXTRAS=hub
ARG PIP_EXTRA_INDEX_URL
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-compile "$(echo /wheels/*.whl)[${EXTRAS}]" \
    && rm -r /wheels \
    && useradd --create-home --uid 10001 --shell /usr/sbin/nologin iin \
    # Whoever it runs as (--user) may keep what was computed, and write results.
    && mkdir -m 1777 /cache /work
ENV HOME=/home/iin \
    IIN_CACHE=/cache/iin \
    HF_HOME=/cache/huggingface \
    TORCH_HOME=/cache/torch \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONUNBUFFERED=1
VOLUME ["/cache"]
WORKDIR /work
USER 10001:10001
ENTRYPOINT ["iin"]
CMD ["--help"]
