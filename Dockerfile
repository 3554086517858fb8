# The whole product: one static program.
FROM scratch
COPY sealroom /sealroom
USER 65532:65532
ENTRYPOINT ["/sealroom"]
