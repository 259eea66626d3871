# Builds dens and puts it, alone, into an image of its own: docker build -t dens .
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/dens ./cmd/dens \
 && mkdir -p /out/etc/ssl/certs /out/etc/dens /out/tmp /out/var/lib/dens \
 && chmod 1777 /out/tmp /out/var/lib/dens \
 && cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ \
 && cp configs/container.yaml /out/etc/dens/dens.yaml \
 && printf 'dens:x:65532:65532::/:/sbin/nologin\n' > /out/etc/passwd \
 && printf 'dens:x:65532:\n' > /out/etc/group

# A file capability lets the user without rights bind port 53, also where the runtime grants none.
FROM debian:stable-slim AS rights
RUN apt-get update && apt-get install -y --no-install-recommends libcap2-bin
COPY --from=build /out /out
RUN setcap cap_net_bind_service=+ep /out/dens

FROM scratch
COPY --from=rights /out /
USER 65532:65532
EXPOSE 53/udp 53/tcp 853/udp 853/tcp 443/udp 443/tcp 80/tcp 8053/tcp
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["/dens", "health", "--url", "http://127.0.0.1:8053/readyz"]
ENTRYPOINT ["/dens"]
CMD ["serve", "--config", "/etc/dens/dens.yaml"]
