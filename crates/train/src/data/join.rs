//! Several operations in one worked step.

/// A worked step as it grows.
struct Step {
    expression: String,
    value: String,
    operations: u32,
    /// Whether a sum or a difference came last: a product of it wants parentheses.
    sum: bool,
}

/// Worked steps of up to `most` operations, `<<(12-11+13)*2=28>>`, from those of one each: a step that begins with the result of the
/// one before it goes on with that one's expression.
pub(super) fn join(steps: Vec<String>, most: u32) -> Vec<String> {
    let mut joined: Vec<Step> = Vec::new();
    for step in &steps {
        let Some((left, sign, right, value)) = parts(step) else { return steps };
        let sum = matches!(sign, '+' | '-');
        match joined.last_mut() {
            Some(last) if last.operations < most && last.value == left => {
                if last.sum && !sum {
                    last.expression = format!("({})", last.expression);
                }
                last.expression.push(sign);
                last.expression.push_str(right);
                (last.value, last.sum) = (value.to_owned(), sum);
                last.operations += 1;
            }
            _ => joined.push(Step {
                expression: format!("{left}{sign}{right}"),
                value: value.to_owned(),
                operations: 1,
                sum,
            }),
        }
    }
    joined.into_iter().map(|Step { expression, value, .. }| format!("<<{expression}={value}>>")).collect()
}

/// Left, sign, right and result of `<<13-6=7>>`.
fn parts(step: &str) -> Option<(&str, char, &str, &str)> {
    let (operation, value) = step.strip_prefix("<<")?.strip_suffix(">>")?.split_once('=')?;
    let at = operation.find(['+', '-', '*', '/'])?;
    let sign = operation[at..].chars().next()?;
    Some((&operation[..at], sign, &operation[at + 1..], value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(steps: &[&str], most: u32) -> Vec<String> {
        join(steps.iter().map(|&step| step.to_owned()).collect(), most)
    }

    #[test]
    fn a_step_takes_up_what_goes_on_with_its_result() {
        let steps =
            ["<<12-11=1>>", "<<1+13=14>>", "<<14*2=28>>", "<<28+10=38>>", "<<5*2=10>>", "<<38-10=28>>"];
        assert_eq!(joined(&steps, 3), ["<<(12-11+13)*2=28>>", "<<28+10=38>>", "<<5*2=10>>", "<<38-10=28>>"]);
        assert_eq!(joined(&steps, 4)[0], "<<(12-11+13)*2+10=38>>");
        assert_eq!(joined(&steps, 1), steps);
    }

    #[test]
    fn parentheses_stand_where_the_order_wants_them() {
        let steps = ["<<2*3=6>>", "<<6/2=3>>", "<<3+1=4>>", "<<4/2=2>>", "<<2*9=18>>"];
        assert_eq!(joined(&steps, 8), ["<<(2*3/2+1)/2*9=18>>"]);
    }
}
