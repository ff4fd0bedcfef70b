//! What is trained, by the names of the published checkpoints, and its gradients.

use std::ops::{Index, IndexMut};

use fathom::{Device, Tensor};
use fathom_model::checkpoint::Checkpoint;

use crate::error::Result;

/// One parameter of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(usize);

/// Where the first values of parameters come from.
pub trait Source {
    /// The elements of the tensor called `name`, row-major.
    ///
    /// # Errors
    /// A tensor that is missing, or of another shape.
    fn read(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>>;

    /// The first of several names by which a tensor may go; the first of all where none is there yet.
    fn name<'n>(&self, names: &[&'n str]) -> &'n str;
}

/// How a parameter begins that is not read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Biases.
    Zeros,
    /// Weights of norms.
    Ones,
    /// Normal with this standard deviation.
    Normal(f32),
    /// Normal with this standard deviation before it is cut at three of them.
    Truncated(f32),
}

impl Source for &Checkpoint {
    fn read(&mut self, name: &str, shape: &[usize], _: Init) -> Result<Vec<f32>> {
        Ok(self.take(name, shape)?.to_vec())
    }

    fn name<'n>(&self, names: &[&'n str]) -> &'n str {
        names.iter().find(|name| self.contains(name)).or(names.first()).copied().unwrap_or_default()
    }
}

/// Tensors in the layout of the checkpoint: matrices by rows, whatever else as one row.
#[derive(Debug)]
pub struct Parameters {
    device: Device,
    names: Vec<String>,
    shapes: Vec<Vec<usize>>,
    values: Vec<Tensor>,
}

impl Parameters {
    /// None yet.
    pub fn new(device: &Device) -> Self {
        Self { device: device.clone(), names: Vec::new(), shapes: Vec::new(), values: Vec::new() }
    }

    /// Adds the tensor called `name`.
    ///
    /// # Errors
    /// As [`Source::read`]; no memory on the device.
    pub fn add(&mut self, source: &mut dyn Source, name: &str, shape: &[usize], init: Init) -> Result<Id> {
        let values = source.read(name, shape, init)?;
        let (rows, width) = match shape {
            [rows, width] => (*rows, *width),
            _ => (1, shape.iter().product()),
        };
        self.values.push(Tensor::new(&self.device, rows, width, values)?);
        self.names.push(name.to_owned());
        self.shapes.push(shape.to_vec());
        Ok(Id(self.names.len() - 1))
    }

    /// Where they are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// All of them, in the order in which they were added.
    pub fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        (0..self.names.len()).map(Id)
    }

    /// The name in checkpoints.
    pub fn name(&self, id: Id) -> &str {
        &self.names[id.0]
    }

    /// Extents in checkpoints, slowest first.
    pub fn shape(&self, id: Id) -> &[usize] {
        &self.shapes[id.0]
    }

    /// Number of all elements.
    pub fn elements(&self) -> usize {
        self.values.iter().map(|value| value.rows() * value.width()).sum()
    }

    /// Zeros for the gradients of all.
    ///
    /// # Errors
    /// No memory on the device.
    pub fn gradients(&self) -> Result<Gradients> {
        let zeros = |value: &Tensor| Tensor::zeros(&self.device, value.rows(), value.width());
        Ok(Gradients { values: self.values.iter().map(zeros).collect::<fathom::Result<_>>()? })
    }
}

impl Index<Id> for Parameters {
    type Output = Tensor;

    fn index(&self, id: Id) -> &Tensor {
        &self.values[id.0]
    }
}

impl IndexMut<Id> for Parameters {
    fn index_mut(&mut self, id: Id) -> &mut Tensor {
        &mut self.values[id.0]
    }
}

/// Sums of gradients, each of its parameter's shape.
#[derive(Debug)]
pub struct Gradients {
    values: Vec<Tensor>,
}

impl Gradients {
    /// Two at once; panics where they are the same one.
    pub(crate) fn pair(&mut self, a: Id, b: Id) -> [&mut Tensor; 2] {
        self.values.get_disjoint_mut([a.0, b.0]).unwrap_or_else(|error| panic!("{a:?}, {b:?}: {error}"))
    }

    /// Begins anew.
    ///
    /// # Errors
    /// A device that does not work.
    pub fn clear(&mut self) -> Result<()> {
        Ok(self.values.iter_mut().try_for_each(Tensor::clear)?)
    }
}

impl Index<Id> for Gradients {
    type Output = Tensor;

    fn index(&self, id: Id) -> &Tensor {
        &self.values[id.0]
    }
}

impl IndexMut<Id> for Gradients {
    fn index_mut(&mut self, id: Id) -> &mut Tensor {
        &mut self.values[id.0]
    }
}
