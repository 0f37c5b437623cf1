//! JSON numbers: their grammar, and whether every reader gets the same value out of one. Not here: their use.

use crate::reject::Reason;

/// Checks the number that starts at `start` (RFC 8259 §6); the offset after it.
pub(crate) fn scan(bytes: &[u8], start: usize) -> Result<usize, Reason> {
    let digits = |at: usize| {
        let run = bytes
            .get(at..)
            .unwrap_or_default()
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if run == 0 {
            Err(Reason::Syntax {
                at,
                expected: "a digit",
            })
        } else {
            Ok(at + run)
        }
    };
    let first = if bytes.get(start) == Some(&b'-') {
        start + 1
    } else {
        start
    };
    let mut at = digits(first)?;
    if bytes.get(first) == Some(&b'0') && at > first + 1 {
        return Err(Reason::Syntax {
            at: first,
            expected: "a number without leading zeros",
        });
    }
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = digits(at + 1 + sign)?;
    }
    Ok(at)
}

/// Whether the number means the same to a reader with 64-bit integers and to one with doubles only, as far as
/// it can: an integer fits an `i64`, or comes through a double unchanged; a fraction is neither infinite nor
/// lost as zero.
pub(crate) fn survives(literal: &str) -> bool {
    if is_integer(literal) {
        // Eighteen digits and a sign always fit.
        return literal.len() <= 18 || literal.parse::<i64>().is_ok() || is_a_double(literal);
    }
    // Without an exponent, three hundred places can neither overflow nor underflow a double.
    if literal.len() <= 300 && !literal.contains(['e', 'E']) {
        return true;
    }
    let mantissa = literal.split(['e', 'E']).next().unwrap_or_default();
    let is_zero = mantissa.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'));
    literal
        .parse::<f64>()
        .is_ok_and(|value| value.is_finite() && (is_zero || value != 0.0))
}

/// Whether the literal has neither fraction nor exponent.
pub(crate) fn is_integer(literal: &str) -> bool {
    literal.bytes().all(|byte| matches!(byte, b'-' | b'0'..=b'9'))
}

/// Whether the integer is a double: without rounding, so that its decimal expansion gives it back, or as
/// ECMAScript writes one below 1e21, so that a reader and writer in JavaScript give it back.
fn is_a_double(literal: &str) -> bool {
    literal.parse::<f64>().is_ok_and(|value| {
        value.is_finite()
            && (ryu_js::Buffer::new().format(value) == literal || format!("{value:.0}") == literal)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_exact() {
        for good in [
            "0", "-0", "1", "-12", "0.5", "1.50", "1e5", "1E+5", "-0.0e-10", "10",
        ] {
            assert_eq!(scan(good.as_bytes(), 0).ok(), Some(good.len()), "{good}");
        }
        for bad in [
            "-", "01", "-01", "00", "1.", "1.e5", ".5", "1e", "1e+", "+1", "--1", "e5", "", "0x10.",
            "Infinity",
        ] {
            let end = scan(bad.as_bytes(), 0).ok();
            assert_ne!(end, Some(bad.len()), "{bad}");
        }
    }

    #[test]
    fn what_some_reader_loses_does_not_survive() {
        for good in [
            "0",
            "-0",
            "9223372036854775807",
            "-9223372036854775808",
            "9007199254740993",
            "18446744073709551616",
            "18446744073709552000",
            "155415284024761500000",
            "1e308",
            "5e-324",
            "0e999",
            "-0.0e-999",
            "0.1",
            "100000000000000000000",
        ] {
            assert!(survives(good), "{good}");
        }
        for bad in [
            "9223372036854775809",
            "18446744073709551615",
            "155415284024761500001",
            "-9223372036854775809",
            "123456789012345678901234567890",
            "1e309",
            "-1e309",
            "1e-400",
            "0.1e-330",
            "1e99999999999",
        ] {
            assert!(!survives(bad), "{bad}");
        }
        assert!(!survives(&"9".repeat(400)));
        assert!(!survives(&format!("0.{}1", "0".repeat(400))));
    }
}
