# What the binary stands on at run time: no shell, no package manager, a user that is not root.
ARG BASE=gcr.io/distroless/static:nonroot

FROM --platform=$BUILDPLATFORM golang:1.26 AS source
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
ENV CGO_ENABLED=0 GOOS=${TARGETOS:-linux} GOARCH=${TARGETARCH}
WORKDIR /workspace

# Modules first: they change less often than the code.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod \
    go mod download

COPY . .

FROM source AS scanner-builder
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    go -C cmd/scanner build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /kubersafe-scanner .

FROM ${BASE} AS scanner
COPY --from=scanner-builder /kubersafe-scanner /kubersafe-scanner
USER 65532:65532
ENTRYPOINT ["/kubersafe-scanner"]

FROM source AS builder
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /kubersafe .

# The last one is what is built where no target is named.
FROM ${BASE} AS kubersafe
COPY --from=builder /kubersafe /kubersafe
USER 65532:65532
ENTRYPOINT ["/kubersafe"]
CMD ["operator"]
