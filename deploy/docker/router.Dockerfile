# The router from a program that was built outside, on the runtime stage of the project's Dockerfile.
ARG RUNTIME
FROM ${RUNTIME}
COPY switchboard /usr/local/bin/switchboard
