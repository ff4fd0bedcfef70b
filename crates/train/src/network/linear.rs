//! Linear layers over parameters that change.

use fathom::{
    Device, Tensor, Weight,
    ops::{
        activation::{Activation, linear_activation},
        add::add,
        linear::{Epilogue, linear, linear_backward_bias, linear_backward_weight},
    },
};

use crate::{
    error::Result,
    parameters::{Gradients, Id, Parameters},
};

/// How a matrix stands in the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// `[k, n]`, as GPT-2's Conv1D.
    Inputs,
    /// `[n, k]`, as PyTorch's Linear.
    Outputs,
}

/// y = x·W + b, with W packed both ways: for y from x, and for the gradient of x from that of y.
#[derive(Debug)]
pub(crate) struct Linear {
    stored: Stored,
    /// Several stand one behind the other along n.
    parts: Vec<Id>,
    /// Of each column of W the part and the row that it is, where they are not simply in order.
    order: Option<Vec<(usize, usize)>>,
    bias: Option<Bias>,
    forward: Weight,
    backward: Weight,
}

/// A bias, which may be shorter than a row.
#[derive(Debug)]
struct Bias {
    id: Id,
    whole: Tensor,
}

impl Linear {
    /// One matrix, in its own order.
    pub(crate) fn new(parameters: &Parameters, stored: Stored, weight: Id, bias: Option<Id>) -> Result<Self> {
        Self::of_parts(parameters, stored, vec![weight], None, bias)
    }

    /// Matrices `[n, k]` one behind the other, their rows in order or in that given.
    pub(crate) fn of_parts(
        parameters: &Parameters,
        stored: Stored,
        parts: Vec<Id>,
        order: Option<Vec<(usize, usize)>>,
        bias: Option<Id>,
    ) -> Result<Self> {
        let matrix = matrix(parameters, &parts, order.as_deref())?;
        let (forward, backward) = match stored {
            Stored::Inputs => (Weight::of_rows(&matrix)?, Weight::of_columns(&matrix)?),
            Stored::Outputs => (Weight::of_columns(&matrix)?, Weight::of_rows(&matrix)?),
        };
        let whole = |id| -> Result<Bias> { Ok(Bias { id, whole: padded(&parameters[id], forward.n())? }) };
        let bias = bias.map(whole).transpose()?;
        Ok(Self { stored, parts, order, bias, forward, backward })
    }

    /// Takes the parameters as they are now.
    pub(crate) fn pack(&mut self, parameters: &Parameters) -> Result<()> {
        let matrix = matrix(parameters, &self.parts, self.order.as_deref())?;
        let (rows, columns) = match self.stored {
            Stored::Inputs => (&mut self.forward, &mut self.backward),
            Stored::Outputs => (&mut self.backward, &mut self.forward),
        };
        rows.assign_rows(&matrix)?;
        columns.assign_columns(&matrix)?;
        if let Some(bias) = &mut self.bias {
            bias.whole = padded(&parameters[bias.id], self.forward.n())?;
        }
        Ok(())
    }

    /// The packed matrix `[k, n]`.
    pub(crate) fn weight(&self) -> &Weight {
        &self.forward
    }

    /// Sets out = epilogue(x·W + b).
    pub(crate) fn forward(&self, x: &Tensor, epilogue: Epilogue<'_>, out: &mut Tensor) -> Result<()> {
        let bias = self.bias.as_ref().map(|bias| &bias.whole);
        Ok(linear(x, &self.forward, bias, epilogue, out)?)
    }

    /// Sets up = x·W + b and out = f(up).
    pub(crate) fn forward_activation(
        &self,
        x: &Tensor,
        kind: Activation,
        up: &mut Tensor,
        out: &mut Tensor,
    ) -> Result<()> {
        let bias = self.bias.as_ref().map(|bias| &bias.whole);
        Ok(linear_activation(x, &self.forward, bias, kind, up, out)?)
    }

    /// Adds to the gradients of W and b, and sets dx.
    pub(crate) fn backward(
        &self,
        x: &Tensor,
        dy: &Tensor,
        gradients: &mut Gradients,
        dx: &mut Tensor,
    ) -> Result<()> {
        self.backward_with(x, dy, gradients, |w| linear(dy, w, None, Epilogue::None, dx))
    }

    /// As [`Linear::backward`]; what becomes of dy·Wᵀ is `of_input`'s, which is given Wᵀ.
    pub(crate) fn backward_with(
        &self,
        x: &Tensor,
        dy: &Tensor,
        gradients: &mut Gradients,
        of_input: impl FnOnce(&Weight) -> fathom::Result<()> + Send,
    ) -> Result<()> {
        match x.device() {
            // Two products that do not wait for each other.
            Device::Cpu => {
                let of_parameters = || self.backward_parameters(x, dy, gradients);
                let (parameters, input) = rayon::join(of_parameters, || of_input(&self.backward));
                parameters.and(Ok(input?))
            }
            _ => {
                self.backward_parameters(x, dy, gradients)?;
                Ok(of_input(&self.backward)?)
            }
        }
    }

    /// Adds to the gradients of W and b.
    pub(crate) fn backward_parameters(
        &self,
        x: &Tensor,
        dy: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<()> {
        match (self.stored, &*self.parts, &self.order) {
            (Stored::Inputs, &[id], _) => linear_backward_weight(dy, x, &mut gradients[id])?,
            (Stored::Outputs, &[id], None) => linear_backward_weight(x, dy, &mut gradients[id])?,
            _ => self.backward_parts(x, dy, gradients)?,
        }
        if let Some(bias) = &self.bias {
            let narrow = gradients[bias.id].width();
            if narrow == self.forward.n() {
                linear_backward_bias(dy, &mut gradients[bias.id])?;
            } else {
                let mut whole = Tensor::zeros(x.device(), 1, self.forward.n())?;
                linear_backward_bias(dy, &mut whole)?;
                let mut part = Tensor::empty(x.device());
                whole.columns(0..narrow, &mut part)?;
                add(&mut gradients[bias.id], &part)?;
            }
        }
        Ok(())
    }

    fn backward_parts(&self, x: &Tensor, dy: &Tensor, gradients: &mut Gradients) -> Result<()> {
        let mut whole = Tensor::zeros(x.device(), self.forward.n(), self.forward.k())?;
        linear_backward_weight(x, dy, &mut whole)?;
        let mut part = Tensor::empty(x.device());
        let mut first = 0;
        for (index, &id) in self.parts.iter().enumerate() {
            let rows = gradients[id].rows();
            let mut places: Vec<usize> = (first..first + rows).collect();
            if let Some(order) = &self.order {
                let of_part = order.iter().enumerate().filter(|(_, (part, _))| *part == index);
                of_part.for_each(|(column, &(_, row))| places[row] = column);
            }
            whole.select(&places, &mut part)?;
            add(&mut gradients[id], &part)?;
            first += rows;
        }
        Ok(())
    }
}

/// The parts as one matrix.
fn matrix(parameters: &Parameters, parts: &[Id], order: Option<&[(usize, usize)]>) -> Result<Tensor> {
    if let (&[id], None) = (parts, order) {
        return Ok(parameters[id].clone());
    }
    let in_order = || {
        let rows = |(part, id): (usize, &Id)| (0..parameters[*id].rows()).map(move |row| (part, row));
        parts.iter().enumerate().flat_map(rows).collect()
    };
    let order = order.map_or_else(in_order, <[_]>::to_vec);
    let rows: Vec<(&Tensor, usize)> =
        order.into_iter().map(|(part, row)| (&parameters[parts[part]], row)).collect();
    let mut matrix = Tensor::empty(parameters.device());
    matrix.gather(&rows)?;
    Ok(matrix)
}

/// A bias of all n columns, those that it lacks 0.
fn padded(bias: &Tensor, n: usize) -> Result<Tensor> {
    if bias.width() == n {
        return Ok(bias.clone());
    }
    let mut whole = Tensor::zeros(bias.device(), 1, n)?;
    whole.put_columns(0, bias)?;
    Ok(whole)
}
