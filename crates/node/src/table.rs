//! Things under numbers that JavaScript holds. A number is never used twice, so a stale one finds nothing.

/// Indices in one table at once.
const INDEX_BITS: u32 = 20;

/// A table. The number of an entry is its use of the index, then the index: exact in a JavaScript number for 2^33 uses of each.
#[derive(Debug)]
pub(crate) struct Table<T> {
    entries: Vec<(u64, Option<T>)>,
    free: Vec<usize>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table {
            entries: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Table<T> {
    /// Puts a value in.
    pub(crate) fn insert(&mut self, value: T) -> f64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push((0, None));
            self.entries.len() - 1
        });
        let (uses, entry) = &mut self.entries[index];
        *uses += 1;
        *entry = Some(value);
        (*uses << INDEX_BITS | index as u64) as f64
    }

    fn find(&self, id: f64) -> Option<usize> {
        let id = id as u64;
        let index = (id & ((1 << INDEX_BITS) - 1)) as usize;
        self.entries
            .get(index)
            .filter(|(uses, entry)| *uses == id >> INDEX_BITS && entry.is_some())
            .map(|_| index)
    }

    pub(crate) fn get(&self, id: f64) -> Option<&T> {
        self.find(id).and_then(|i| self.entries[i].1.as_ref())
    }

    pub(crate) fn get_mut(&mut self, id: f64) -> Option<&mut T> {
        self.find(id).and_then(|i| self.entries[i].1.as_mut())
    }

    /// Puts what `change` makes of a value in its place; its number stays. `None` when there is none.
    pub(crate) fn update<R>(&mut self, id: f64, change: impl FnOnce(T) -> (T, R)) -> Option<R> {
        let index = self.find(id)?;
        let entry = &mut self.entries[index].1;
        let (value, result) = change(entry.take()?);
        *entry = Some(value);
        Some(result)
    }

    /// Takes a value out; its number is void from now on.
    pub(crate) fn remove(&mut self, id: f64) -> Option<T> {
        let index = self.find(id)?;
        self.free.push(index);
        self.entries[index].1.take()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }
}
