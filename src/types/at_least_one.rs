//! A list that is never empty.

/// One, and perhaps others behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtLeastOne<T> {
    /// The first.
    pub first: T,
    /// Those behind it.
    pub further: Vec<T>,
}

impl<T> AtLeastOne<T> {
    /// One alone.
    #[must_use]
    pub fn one(only: T) -> Self {
        Self {
            first: only,
            further: Vec::new(),
        }
    }

    /// All of them, in their order; `None` for none.
    pub fn collect(all: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut all = all.into_iter();
        let first = all.next()?;
        let further = all.collect();
        Some(Self { first, further })
    }

    /// The one that there is, where there is no other.
    #[must_use]
    pub fn only(&self) -> Option<&T> {
        self.further.is_empty().then_some(&self.first)
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.further.len()
    }

    /// All of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        std::iter::once(&self.first).chain(&self.further)
    }

    /// Something of each.
    pub fn map<'a, U>(&'a self, mut of: impl FnMut(&'a T) -> U) -> AtLeastOne<U> {
        AtLeastOne {
            first: of(&self.first),
            further: self.further.iter().map(of).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AtLeastOne;

    #[test]
    fn order_is_kept_and_none_is_none() {
        assert_eq!(AtLeastOne::<u8>::collect([]), None);
        assert_eq!(AtLeastOne::collect([1]), Some(AtLeastOne::one(1)));
        let three = AtLeastOne::collect([1, 2, 3]).unwrap();
        assert_eq!(three.only(), None);
        assert_eq!(three.count(), 3);
        let doubled = three.map(|n| n * 2);
        assert_eq!(doubled.iter().copied().collect::<Vec<_>>(), [2, 4, 6]);
        assert_eq!(AtLeastOne::one(7).only(), Some(&7));
    }
}
