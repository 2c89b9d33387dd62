# Two stages: one makes the wheel and an environment around it, the other has that environment and
# nothing else. No step of the second needs a shell, so its base may be exchanged for one without.
ARG PYTHON=python:3.13.9-slim-trixie

FROM ${PYTHON} AS build
WORKDIR /src
COPY requirements.txt requirements-dev.txt ./
RUN python -m venv /opt/firstmate
RUN /opt/firstmate/bin/pip install --no-cache-dir --requirement requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY app app
RUN /opt/firstmate/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .
# The extras' versions are those of the tests.
RUN /opt/firstmate/bin/pip install --no-cache-dir --constraint requirements-dev.txt \
    "$(ls /wheels/*.whl)[k8s,nats,otel]"
RUN mkdir /data

FROM ${PYTHON}
COPY --from=build /opt/firstmate /opt/firstmate
COPY --from=build --chown=10001:10001 /data /data
ENV PATH=/opt/firstmate/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp DATA_DIR=/data OPS_HOST=0.0.0.0 LOG_FORMAT=json \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# All that is written goes to /data and /tmp, so the root file system may be read-only.
VOLUME /data
USER 10001:10001
EXPOSE 8080 9090
ENTRYPOINT ["firstmate"]
CMD ["serve"]
