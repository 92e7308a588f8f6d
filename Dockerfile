# One static program on an empty image. docker build --tag jira-credential-operator:0.1.0 .
FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
# glibc linked statically: names are resolved by the program itself, not by glibc.
RUN host=$(rustc -vV | sed -n 's/^host: //p') \
 && RUSTFLAGS='-C target-feature=+crt-static' \
    cargo build --locked --release --target "$host" --bin jira-credential-operator \
 && cp "target/$host/release/jira-credential-operator" /jira-credential-operator

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /jira-credential-operator /jira-credential-operator
USER 65532:65532
ENTRYPOINT ["/jira-credential-operator"]
CMD ["run"]
