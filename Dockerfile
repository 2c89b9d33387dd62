# Two stages: wheels are made with a compiler's image at hand, and run without it, not as root.
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.txt pyproject.toml README.md LICENSE ./
COPY app app
RUN python -m venv /opt/firstmate \
 && /opt/firstmate/bin/pip install --no-cache-dir -r requirements.txt \
 && /opt/firstmate/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
COPY --from=build /opt/firstmate /opt/firstmate
RUN useradd --system --uid 10001 --create-home firstmate && mkdir /data && chown 10001 /data
ENV PATH=/opt/firstmate/bin:$PATH DATA_DIR=/data OPS_HOST=0.0.0.0 PYTHONDONTWRITEBYTECODE=1 LOG_FORMAT=json
# All that is written goes to /data, so the root file system may be read-only.
VOLUME /data
USER 10001
EXPOSE 8080 9090
ENTRYPOINT ["firstmate"]
CMD ["serve"]
