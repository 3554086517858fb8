//! Writes GGUF headers for tests, as the spec says (ggml, `docs/gguf.md`).

/// A header that is being written.
#[derive(Clone, Default)]
pub(super) struct Sample {
    metadata: Vec<u8>,
    entries: u64,
    tensors: Vec<u8>,
    count: u64,
    /// Where the next weight goes, from the start of the data.
    end: u64,
}

/// A text as GGUF has it.
pub(super) fn put(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

impl Sample {
    pub(super) fn key(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        put(&mut self.metadata, key);
        self.metadata.extend(kind.to_le_bytes());
        self.metadata.extend(value);
        self.entries += 1;
        self
    }

    pub(super) fn text(self, key: &str, value: &str) -> Self {
        let mut bytes = Vec::new();
        put(&mut bytes, value);
        self.key(key, 8, &bytes)
    }

    pub(super) fn int(self, key: &str, value: u32) -> Self {
        self.key(key, 4, &value.to_le_bytes())
    }

    pub(super) fn float(self, key: &str, value: f32) -> Self {
        self.key(key, 6, &value.to_le_bytes())
    }

    pub(super) fn array(self, key: &str, kind: u32, length: u64, elements: &[u8]) -> Self {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend(elements);
        self.key(key, 9, &bytes)
    }

    pub(super) fn ints(self, key: &str, values: &[u32]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|n| n.to_le_bytes()).collect();
        self.array(key, 4, values.len() as u64, &bytes)
    }

    /// A tensor at that place.
    pub(super) fn tensor(mut self, name: &str, dimensions: &[u64], kind: u32, offset: u64) -> Self {
        put(&mut self.tensors, name);
        self.tensors
            .extend(u32::try_from(dimensions.len()).unwrap().to_le_bytes());
        for dimension in dimensions {
            self.tensors.extend(dimension.to_le_bytes());
        }
        self.tensors.extend(kind.to_le_bytes());
        self.tensors.extend(offset.to_le_bytes());
        self.count += 1;
        self
    }

    /// A tensor after the last one.
    pub(super) fn weight(self, name: &str, dimensions: &[u64], kind: u32) -> Self {
        let offset = self.end;
        let bytes = super::tensor::bytes(kind, dimensions).unwrap().unwrap();
        let mut next = self.tensor(name, dimensions, kind, offset);
        next.end = (offset + bytes).next_multiple_of(32);
        next
    }

    /// The header's bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend(self.count.to_le_bytes());
        out.extend(self.entries.to_le_bytes());
        out.extend(&self.metadata);
        out.extend(&self.tensors);
        out
    }

    /// How long a file with all its weights is.
    pub(super) fn file_bytes(&self) -> u64 {
        (self.bytes().len() as u64).next_multiple_of(32) + self.end
    }
}
