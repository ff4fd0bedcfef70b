//! Token ids that an operation chose.

use crate::{
    Device, Result,
    error::check,
    gpu::{Buffer, Gpu},
};

/// Token ids in the memory of the device that chose them, so that they can be embedded there without a wait.
#[derive(Debug)]
pub struct Tokens {
    device: Device,
    count: usize,
    vocabulary: usize,
    memory: Memory,
}

#[derive(Debug)]
enum Memory {
    Host(Vec<u32>),
    Device(Option<Buffer>),
}

impl Tokens {
    /// None, for an operation to write to.
    pub fn empty(device: &Device) -> Self {
        let memory = match device {
            Device::Cpu => Memory::Host(Vec::new()),
            Device::Gpu(_) => Memory::Device(None),
        };
        Self { device: device.clone(), count: 0, vocabulary: 0, memory }
    }

    /// The device that holds them.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many ids they were chosen from: they are below it.
    pub(crate) fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// Brought to the host.
    ///
    /// # Errors
    /// What went wrong on the device since the last wait.
    pub fn to_vec(&self) -> Result<Vec<u32>> {
        match &self.memory {
            Memory::Host(tokens) => Ok(tokens.clone()),
            Memory::Device(buffer) => {
                let mut tokens = vec![0; self.count];
                if let Some(buffer) = buffer {
                    buffer.read(0, bytemuck::cast_slice_mut(&mut tokens))?;
                }
                Ok(tokens)
            }
        }
    }

    /// Room for `count` more, so that as many can be appended without new memory.
    ///
    /// # Errors
    /// No memory on the device.
    pub fn reserve(&mut self, count: usize) -> Result<()> {
        match (&mut self.memory, &self.device) {
            (Memory::Device(buffer), Device::Gpu(gpu)) => {
                let bytes = (self.count + count) * size_of::<u32>();
                if buffer.as_ref().is_none_or(|kept| kept.bytes() < bytes) {
                    let mut larger = Buffer::new(gpu, bytes)?;
                    if let Some(kept) = buffer.as_ref() {
                        larger.copy_from(kept, [0; 2], [0; 2], self.count * size_of::<u32>(), 1)?;
                    }
                    *buffer = Some(larger);
                }
            }
            (Memory::Host(tokens), _) => tokens.reserve(count),
            (Memory::Device(_), Device::Cpu) => {}
        }
        Ok(())
    }

    /// Adds `others` behind its own, without a wait.
    ///
    /// # Errors
    /// Tokens on another device; no memory on the device.
    pub fn append(&mut self, others: &Self) -> Result<()> {
        check("tokens", self.device == others.device, || {
            format!("from {} to {}", others.device, self.device)
        })?;
        self.reserve(others.count)?;
        match (&mut self.memory, &others.memory) {
            (Memory::Host(tokens), Memory::Host(others)) => tokens.extend_from_slice(others),
            (Memory::Device(Some(to)), Memory::Device(Some(from))) => {
                let [at, bytes] = [self.count, others.count].map(|count| count * size_of::<u32>());
                to.copy_from(from, [0, at], [0; 2], bytes, 1)?;
            }
            _ => {}
        }
        self.count += others.count;
        self.vocabulary = self.vocabulary.max(others.vocabulary);
        Ok(())
    }

    /// Forgets all, and keeps its memory.
    pub fn clear(&mut self) {
        (self.count, self.vocabulary) = (0, 0);
        if let Memory::Host(tokens) = &mut self.memory {
            tokens.clear();
        }
    }

    /// Those on the host, to read; none of those on a GPU.
    pub(crate) fn host(&self) -> &[u32] {
        match &self.memory {
            Memory::Host(tokens) => tokens,
            Memory::Device(_) => &[],
        }
    }

    /// Becomes what `choose` writes: `count` tokens of a vocabulary, on the host.
    pub(crate) fn choose(&mut self, count: usize, vocabulary: usize, choose: impl FnOnce(&mut [u32])) {
        if let Memory::Host(tokens) = &mut self.memory {
            tokens.resize(count, 0);
            choose(tokens);
            (self.count, self.vocabulary) = (count, vocabulary);
        }
    }

    /// Becomes what `choose` writes from the address given: `count` tokens of a vocabulary, on `gpu`; none where it fails.
    pub(crate) fn choose_on(
        &mut self,
        gpu: &Gpu,
        count: usize,
        vocabulary: usize,
        choose: impl FnOnce(u64) -> Result<()>,
    ) -> Result<()> {
        self.clear();
        if let Memory::Device(buffer) = &mut self.memory {
            let bytes = count * size_of::<u32>();
            let kept = match buffer.take().filter(|kept| kept.bytes() >= bytes) {
                Some(enough) => buffer.insert(enough),
                None => buffer.insert(Buffer::new(gpu, bytes)?),
            };
            choose(kept.address())?;
            (self.count, self.vocabulary) = (count, vocabulary);
        }
        Ok(())
    }

    /// Where those on a GPU begin.
    pub(crate) fn address(&self) -> u64 {
        match &self.memory {
            Memory::Device(Some(buffer)) => buffer.address(),
            Memory::Host(_) | Memory::Device(None) => 0,
        }
    }
}
