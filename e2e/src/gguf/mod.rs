//! Writes whole GGUF files, as the spec says (ggml, `docs/gguf.md`): models of noise, where no package carries one that
//! is small enough for a test. The same calls give the same bytes.

pub mod adapter;
pub mod projector;
pub mod reranker;

/// Where tensors may begin.
const ALIGNMENT: usize = 32;

/// A file that is being written. Its tensors are of 32-bit floats.
#[derive(Clone, Debug, Default)]
pub struct Gguf {
    noise: Noise,
    metadata: Vec<u8>,
    entries: u64,
    tensors: Vec<u8>,
    count: u64,
    data: Vec<u8>,
}

impl Gguf {
    /// One of this architecture, which decides what keys and tensors an engine looks for.
    #[must_use]
    pub fn new(architecture: &str) -> Self {
        Self::default().text("general.architecture", architecture)
    }

    fn key(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        put(&mut self.metadata, key);
        self.metadata.extend(kind.to_le_bytes());
        self.metadata.extend(value);
        self.entries += 1;
        self
    }

    fn array(self, key: &str, kind: u32, length: usize, elements: &[u8]) -> Self {
        let mut value = kind.to_le_bytes().to_vec();
        value.extend((length as u64).to_le_bytes());
        value.extend(elements);
        self.key(key, 9, &value)
    }

    /// A text.
    #[must_use]
    pub fn text(self, key: &str, value: &str) -> Self {
        let mut bytes = Vec::new();
        put(&mut bytes, value);
        self.key(key, 8, &bytes)
    }

    /// An integer.
    #[must_use]
    pub fn int(self, key: &str, value: u32) -> Self {
        self.key(key, 4, &value.to_le_bytes())
    }

    /// A float.
    #[must_use]
    pub fn float(self, key: &str, value: f32) -> Self {
        self.key(key, 6, &value.to_le_bytes())
    }

    /// Yes or no.
    #[must_use]
    pub fn flag(self, key: &str, value: bool) -> Self {
        self.key(key, 7, &[value.into()])
    }

    /// Several texts.
    #[must_use]
    pub fn texts(self, key: &str, values: &[String]) -> Self {
        let mut bytes = Vec::new();
        for value in values {
            put(&mut bytes, value);
        }
        self.array(key, 8, values.len(), &bytes)
    }

    /// Several integers.
    #[must_use]
    pub fn ints(self, key: &str, values: &[i32]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|n| n.to_le_bytes()).collect();
        self.array(key, 5, values.len(), &bytes)
    }

    /// Several floats.
    #[must_use]
    pub fn floats(self, key: &str, values: &[f32]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|n| n.to_le_bytes()).collect();
        self.array(key, 6, values.len(), &bytes)
    }

    /// A tensor, whose numbers come one after the other. The first length is that of a row.
    fn tensor(mut self, name: &str, shape: &[u32], mut next: impl FnMut() -> f32) -> Self {
        put(&mut self.tensors, name);
        self.tensors.extend((shape.len() as u32).to_le_bytes());
        for length in shape {
            self.tensors.extend(u64::from(*length).to_le_bytes());
        }
        // 32-bit floats, and where they begin.
        self.tensors.extend(0_u32.to_le_bytes());
        self.tensors.extend((self.data.len() as u64).to_le_bytes());
        self.count += 1;
        for _ in 0..shape.iter().product() {
            self.data.extend(next().to_le_bytes());
        }
        let end = self.data.len().next_multiple_of(ALIGNMENT);
        self.data.resize(end, 0);
        self
    }

    /// A tensor of noise from minus `largest` to `largest`.
    #[must_use]
    pub fn noise(self, name: &str, shape: &[u32], largest: f32) -> Self {
        let mut noise = self.noise.clone();
        let mut file = self.tensor(name, shape, || noise.next() * largest);
        file.noise = noise;
        file
    }

    /// A matrix of noise from so many numbers to so many, which leaves them about as large as they were, and a bias.
    #[must_use]
    pub fn linear(self, name: &str, [from, to]: [u32; 2]) -> Self {
        let largest = (3.0 / from as f32).sqrt();
        self.noise(&format!("{name}.weight"), &[from, to], largest)
            .noise(&format!("{name}.bias"), &[to], 0.1)
    }

    /// A normalisation that changes nothing further.
    #[must_use]
    pub fn norm(self, name: &str, width: u32) -> Self {
        self.tensor(&format!("{name}.weight"), &[width], || 1.0)
            .tensor(&format!("{name}.bias"), &[width], || 0.0)
    }

    /// The whole file.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend(self.count.to_le_bytes());
        out.extend(self.entries.to_le_bytes());
        out.extend(&self.metadata);
        out.extend(&self.tensors);
        out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
        out.extend(&self.data);
        out
    }
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// Numbers from -1 to 1 that look random and are the same each time (a linear congruence, with Knuth's constants).
#[derive(Clone, Debug)]
struct Noise(u64);

impl Default for Noise {
    fn default() -> Self {
        Self(1)
    }
}

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let top = (self.0 >> 40) as f64;
        (top / f64::from(1 << 24) * 2.0 - 1.0) as f32
    }
}
