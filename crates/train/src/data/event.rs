//! What happens in a problem, a sentence each.

use super::{
    difficulty::Operation,
    story::{Amount, Story},
    templates::{self as say, Filling, Sentences},
};

impl Story<'_> {
    /// Tells a sentence of this kind; whether one was possible within `most` steps. Otherwise nothing has happened.
    pub(super) fn happens(&mut self, operation: Operation, most: usize) -> bool {
        let (steps, amounts) = (self.steps.len(), self.amounts.clone());
        let told = self.tell(operation).filter(|_| self.steps.len() <= most);
        let possible = told.is_some();
        match told {
            Some(sentence) => self.sentences.push(sentence),
            None => {
                self.steps.truncate(steps);
                self.amounts = amounts;
            }
        }
        possible
    }

    /// Introduces the next person with a stated number.
    pub(super) fn start(&mut self) -> Option<()> {
        let n = self.number(self.difficulty.limit)?;
        let p = self.name(self.amounts.len());
        let sentence = self.phrase(say::START, Filling { p, n, ..Filling::default() })?;
        self.amounts.push(self.again(Amount::stated(n)));
        self.sentences.push(sentence);
        Some(())
    }

    fn tell(&mut self, operation: Operation) -> Option<String> {
        let person = self.draws.below(self.amounts.len() as u32) as usize;
        let (p, amount) = (self.name(person), *self.amounts.get(person)?);
        let room = self.difficulty.limit.checked_sub(amount.value)?;
        let about = Filling { p, ..Filling::default() };
        let (templates, filling, sign, right): (Sentences, _, _, _) = match operation {
            Operation::Add => {
                let n = self.number(room)?;
                (say::ADD, Filling { n, ..about }, '+', n)
            }
            Operation::Sub => {
                let n = self.number(amount.value)?;
                (say::SUB, Filling { n, ..about }, '-', n)
            }
            Operation::Mul => {
                let n = self.factor(self.difficulty.limit.checked_div(amount.value)?)?;
                let triples = n == 3 && self.draws.coin();
                (if triples { say::TRIPLE } else { say::MUL }, Filling { n, ..about }, '*', n)
            }
            Operation::Double if amount.value > 0 => (say::DOUBLE, about, '*', 2),
            Operation::Half if amount.value > 0 => (say::HALF, about, '/', 2),
            Operation::Divide => {
                let n = self.divisor(amount.value)?;
                (say::DIVIDE, Filling { n, ..about }, '/', n)
            }
            Operation::Groups => return self.groups(person, amount),
            Operation::Compare => return self.compare(person, amount),
            Operation::Transfer => return self.transfer(person, amount),
            _ => return None,
        };
        self.amounts[person] = self.step(amount, sign, Amount::stated(right))?;
        self.phrase(templates, filling)
    }

    /// A factor of which `value` is a multiple.
    fn divisor(&mut self, value: u32) -> Option<u32> {
        let even = |k: &u32| value > 0 && value.is_multiple_of(*k);
        let divisors: Vec<u32> = self.difficulty.factors.clone().filter(even).collect();
        self.draws.choose(&divisors).copied()
    }

    fn groups(&mut self, person: usize, amount: Amount) -> Option<String> {
        let (sign, templates, most) = match self.draws.coin() {
            true => ('+', say::GROUPS_IN, self.difficulty.limit.checked_sub(amount.value)?),
            false => ('-', say::GROUPS_OUT, amount.value),
        };
        let k = self.factor(most)?;
        let n = self.number(most / k)?;
        let all = self.step(Amount::stated(k), '*', Amount::stated(n))?;
        self.amounts[person] = self.step(amount, sign, all)?;
        self.phrase(templates, Filling { p: self.name(person), n, k, ..Filling::default() })
    }

    /// Introduces the next person by what `person` has now.
    fn compare(&mut self, person: usize, amount: Amount) -> Option<String> {
        let next = self.amounts.len();
        if next == self.persons.len() || amount.value == 0 {
            return None;
        }
        let (a, limit) = (amount.value, self.difficulty.limit);
        let (templates, told): (Sentences, _) = match self.draws.below(6) {
            0 => (say::AS_MANY, None),
            1 => (say::MORE, Some(('+', self.number(limit.checked_sub(a)?)?))),
            2 => (say::FEWER, Some(('-', self.number(a)?))),
            3 => (say::TIMES, Some(('*', self.factor(limit / a)?))),
            4 => (say::TWICE, Some(('*', 2))),
            _ => (say::HALF_AS_MANY, Some(('/', 2))),
        };
        let result = match told {
            Some((sign, n)) => self.step(amount, sign, Amount::stated(n))?,
            None => self.again(amount),
        };
        self.amounts.push(result);
        let n = told.map_or(0, |(_, n)| n);
        self.phrase(templates, Filling { p: self.name(person), q: self.name(next), n, ..Filling::default() })
    }

    fn transfer(&mut self, giver: usize, amount: Amount) -> Option<String> {
        let others = self.amounts.len().checked_sub(1).filter(|&others| others > 0)?;
        let taker = (giver + 1 + self.draws.below(others as u32) as usize) % self.amounts.len();
        let held = self.amounts[taker];
        let mut n = 0;
        let templates: Sentences = match self.draws.below(4) {
            0 if amount.value > 0 => {
                let half = self.step(amount, '/', Amount::stated(2))?;
                (self.amounts[giver], self.amounts[taker]) = (half, self.step(held, '+', half)?);
                say::PASS_HALF
            }
            1 if amount.value > 0 => {
                self.amounts[taker] = self.step(held, '+', amount)?;
                self.amounts[giver] = self.again(Amount::stated(0));
                say::PASS_ALL
            }
            _ => {
                n = self.number(amount.value)?;
                self.amounts[giver] = self.step(amount, '-', Amount::stated(n))?;
                self.amounts[taker] = self.step(held, '+', Amount::stated(n))?;
                say::PASS
            }
        };
        self.phrase(templates, Filling { p: self.name(giver), q: self.name(taker), n, ..Filling::default() })
    }
}
