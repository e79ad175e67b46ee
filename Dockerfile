# The worker's image: a virtual environment and nothing to build with. Runs with a read-only root; /tmp must be writable.
ARG PYTHON_VERSION=3.13

FROM python:${PYTHON_VERSION}-slim AS build
# Of pyproject.toml's optional dependencies, separated by commas; may be empty.
ARG EXTRAS=otel,plan
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY worker worker
COPY schemas schemas
COPY examples examples
# /opt/shipped: the schemas and the flights example within the package, by a name without Python's version in it.
# -I: of the package that was installed, not of the sources beside.
RUN python -m venv --without-pip /opt/venv \
 && python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
 && python -m pip --python /opt/venv/bin/python install --no-cache-dir --constraint constraints.txt \
    "$(echo /wheels/*.whl)${EXTRAS:+[$EXTRAS]}" \
 && ln -s "$(/opt/venv/bin/python -I -c 'from worker.shipped import shipped; print(shipped("examples").parent)')" /opt/shipped

FROM python:${PYTHON_VERSION}-slim
LABEL org.opencontainers.image.title="prediction-worker" \
      org.opencontainers.image.description="A Kafka consumer group of prediction workers: Avro features in, predictions out, exactly once." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TMPDIR=/tmp
COPY --from=build /opt /opt
# A new volume that is mounted here belongs to the worker, so that a bundle can be packed into it.
RUN install --directory --owner=10001 --group=10001 /models
USER 10001:10001
WORKDIR /opt/shipped
EXPOSE 9464
STOPSIGNAL SIGTERM
# The loop goes round, or it does not; the answer is the worker's own.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", \
  "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('WORKER_TELEMETRY__PORT', '9464') + '/healthz', timeout=4)"]
ENTRYPOINT ["prediction-worker"]
CMD ["run"]
