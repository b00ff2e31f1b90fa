# The command in a container. The weights of lite0 and mini are part of the package; no others are downloaded here.
FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    --mount=type=bind,source=constraints.txt,target=/constraints.txt \
    pip install --no-cache-dir --constraint /constraints.txt /wheels/*.whl
RUN useradd --create-home gradcam
USER gradcam
WORKDIR /work
ENTRYPOINT ["gradcam"]
CMD ["--help"]
