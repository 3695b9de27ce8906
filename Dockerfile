# The router's image: small, not root, works with a read-only file system, needs no shell.
#
#   docker build -t switchboard .
#
# BASE is anything with the C library of Debian bookworm or newer. deploy/images uses the stage `runtime` alone, where
# the builder's image cannot be pulled.
ARG BASE=debian:bookworm-slim
ARG BUILDER=rust:1-bookworm

FROM ${BASE} AS runtime
COPY rules /etc/switchboard/rules
USER 10001:10001
EXPOSE 6033 6032 6070
HEALTHCHECK --interval=5s --timeout=4s --start-period=10s --retries=3 CMD ["switchboard", "ping"]
STOPSIGNAL SIGTERM
ENV PATH=/usr/local/bin:/usr/bin:/bin
ENTRYPOINT ["switchboard"]

FROM ${BUILDER} AS builder
WORKDIR /build
COPY . .
# Symbols are of use where the program is built, not where it runs.
RUN cargo build --release --locked && strip --strip-debug -o /switchboard target/release/switchboard

FROM runtime
COPY --from=builder /switchboard /usr/local/bin/switchboard
