# Builds the `scale` binary and puts it, alone, into a small image that runs as nobody on a read-only root.
FROM docker.io/library/rust:1.95-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --features scale && install -D --mode=0755 target/release/bartizan /out/bartizan && mkdir --parents /out/data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/bartizan /usr/local/bin/bartizan
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
VOLUME /data
ENV BARTIZAN_STORE_PATH=/data BARTIZAN_SERVER_LISTEN=0.0.0.0:7117
EXPOSE 7117
ENTRYPOINT ["/usr/local/bin/bartizan"]
CMD ["serve"]
