# One image for every PEMS service; which one runs is the command. The classic builder takes it (no BuildKit mounts).
FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 UV_LINK_MODE=copy
WORKDIR /src
COPY build.lock requirements.lock pyproject.toml ./
# What builds stays in /opt/build. /opt/pems gets what the services need and nothing that only developers need, in the
# versions and with the hashes of requirements.lock; its .pth file finds PEMS itself, which is a layer of its own.
RUN python3 -m venv /opt/build \
 && /opt/build/bin/python -m pip install --no-cache-dir --quiet --require-hashes -r build.lock \
 && python3 -m venv --without-pip /opt/pems \
 && /opt/build/bin/uv pip install --python /opt/pems/bin/python --no-cache --only-binary :all: --compile-bytecode --quiet \
    --constraint requirements.lock -r pyproject.toml --extra ingest --extra forecaster --extra optimizer \
    --extra controller --extra monitor --extra house --extra cli \
 && find /opt/pems -name tests -type d -path '*/site-packages/*' -prune -exec rm -rf {} + \
 && echo /app/site > "$(echo /opt/pems/lib/python3.*/site-packages)/pems.pth"
COPY . .
RUN /opt/build/bin/python -m pip install --no-cache-dir --quiet --no-index --no-deps --no-build-isolation \
    --target /app/site . \
 && rm -rf /app/site/bin && cp -r config LICENSE /app/

FROM python:3.11-slim
LABEL org.opencontainers.image.title="pems" org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/pems/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MALLOC_ARENA_MAX=2 \
    PEMS_DATA=/data PEMS_HOME=/app/config/home.yaml \
    NUMBA_CACHE_DIR=/tmp/numba PEMS_NUMBA_PREPARED=/opt/numba HOME=/tmp
# The folders below become the volumes' first content, so that they belong to the user that writes them.
RUN groupadd --gid 10001 pems && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin pems \
 && mkdir -p /data /run-pems /secrets /site /volumes/redis /volumes/mqtt \
 && chown -R 10001:10001 /data /run-pems /secrets /volumes
COPY --from=build /opt/pems /opt/pems
COPY --from=build /app /app
WORKDIR /app
# The solver's loops, compiled once here instead of at each start; another processor compiles them anew.
RUN NUMBA_CACHE_DIR=/opt/numba PYTHONPATH=/app/site python -m pems_optimizer.warm_up && chmod -R a+rX /opt/numba
USER 10001:10001
CMD ["python", "-m", "pems_cli", "--help"]
