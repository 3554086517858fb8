//! The memory of several models, each in a process of its own, of which some are loaded at once.

use super::{Memory, Need};

/// What so many of them need at most: the largest.
#[must_use]
pub fn together(needs: &[Need], at_once: usize) -> Need {
    let vram: Vec<Memory> = needs.iter().filter_map(|need| need.vram).collect();
    Need {
        ram: largest(needs.iter().map(|need| need.ram).collect(), at_once),
        vram: (!vram.is_empty()).then(|| largest(vram, at_once)),
    }
}

fn largest(mut all: Vec<Memory>, at_once: usize) -> Memory {
    all.sort_by_key(|memory| std::cmp::Reverse(memory.total));
    let sum = |sum: Memory, one: &Memory| Memory {
        weights: sum.weights.saturating_add(one.weights),
        kv_cache: sum.kv_cache.saturating_add(one.kv_cache),
        compute: sum.compute.saturating_add(one.compute),
        total: sum.total.saturating_add(one.total),
    };
    let most = all.iter().take(at_once);
    most.fold(Memory::default(), sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(number: u64) -> Memory {
        Memory {
            weights: number,
            kv_cache: 10 * number,
            compute: 100 * number,
            total: 1_000 * number,
        }
    }

    fn need(ram: u64, vram: Option<u64>) -> Need {
        Need {
            ram: memory(ram),
            vram: vram.map(memory),
        }
    }

    #[rstest::rstest]
    #[case::one_at_once(1, 5, Some(4))]
    #[case::two_at_once(2, 8, Some(6))]
    #[case::all(3, 9, Some(6))]
    #[case::more_than_there_are(8, 9, Some(6))]
    fn the_largest_count(#[case] at_once: usize, #[case] ram: u64, #[case] vram: Option<u64>) {
        // What lies in the host's memory and what in the accelerator's need not be the same models.
        let needs = [need(3, Some(2)), need(5, None), need(1, Some(4))];
        assert_eq!(together(&needs, at_once), need(ram, vram));
    }

    #[test]
    fn one_model_is_itself() {
        let one = need(7, None);
        assert_eq!(together(&[one], 1), one);
    }
}
