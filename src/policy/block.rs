//! Address blocks with their exceptions.

use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::IPBlock;

/// An `ipBlock`: a network without its exceptions, in either family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    net: IpNet,
    except: Vec<IpNet>,
}

impl Block {
    /// The block of an object; `None` when its CIDR cannot be read.
    ///
    /// An exception that cannot be read is left out: then the block counts as larger than it may be, which
    /// never hides an opening.
    #[must_use]
    pub fn parse(block: &IPBlock) -> Option<Self> {
        let net: IpNet = block.cidr.parse().ok()?;
        let except = block.except.iter().flatten();
        Some(Self {
            net: net.trunc(),
            except: except
                .filter_map(|cidr| cidr.parse::<IpNet>().ok())
                .map(|net| net.trunc())
                .collect(),
        })
    }

    /// Whether the address is in the network and in none of the exceptions.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.net.contains(&address) && !self.except.iter().any(|net| net.contains(&address))
    }

    /// Whether the exceptions leave no address.
    #[must_use]
    pub fn matches_nothing(&self) -> bool {
        covered(self.net, &self.except)
    }

    /// Whether every address of this block is in `other`.
    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        self.matches_nothing()
            || (other.net.contains(&self.net)
                && other
                    .except
                    .iter()
                    .all(|hole| match narrower(*hole, self.net) {
                        Some(overlap) => covered(overlap, &self.except),
                        None => true,
                    }))
    }
}

/// The part that two networks share: the narrower one, or nothing.
fn narrower(one: IpNet, other: IpNet) -> Option<IpNet> {
    if one.contains(&other) {
        Some(other)
    } else if other.contains(&one) {
        Some(one)
    } else {
        None
    }
}

/// Whether `nets` together hold all of `net`.
fn covered(net: IpNet, nets: &[IpNet]) -> bool {
    if nets.iter().any(|other| other.contains(&net)) {
        return true;
    }
    let inside: Vec<IpNet> = nets
        .iter()
        .copied()
        .filter(|other| net.contains(other))
        .collect();
    if inside.is_empty() {
        return false;
    }
    // Only halves that hold an exception are looked into, so this is bounded by their number and the depth
    // of the address family.
    match net.subnets(net.prefix_len() + 1) {
        Ok(mut halves) => halves.all(|half| covered(half, &inside)),
        Err(_) => false,
    }
}

impl std::fmt::Display for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.net)?;
        if !self.except.is_empty() {
            let except: Vec<String> = self.except.iter().map(ToString::to_string).collect();
            write!(f, " except {}", except.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(cidr: &str, except: &[&str]) -> Block {
        Block::parse(&IPBlock {
            cidr: cidr.to_owned(),
            except: Some(except.iter().map(|cidr| (*cidr).to_owned()).collect()),
        })
        .expect("a cidr")
    }

    #[rstest::rstest]
    #[case("10.0.0.0/8", &[], "10.1.2.3", true)]
    #[case("10.0.0.0/8", &["10.1.0.0/16"], "10.1.2.3", false)]
    #[case("10.0.0.0/8", &[], "11.0.0.1", false)]
    #[case("0.0.0.0/0", &[], "2001:db8::1", false)]
    #[case("::/0", &[], "10.0.0.1", false)]
    #[case("2001:db8::/32", &["2001:db8:1::/48"], "2001:db8:1::5", false)]
    #[case("2001:db8::/32", &["2001:db8:1::/48"], "2001:db8:2::5", true)]
    #[case("10.1.2.3/8", &[], "10.200.0.1", true)]
    fn holds(
        #[case] cidr: &str,
        #[case] except: &[&str],
        #[case] ip: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(block(cidr, except).contains(ip.parse().unwrap()), expected);
    }

    #[test]
    fn a_block_that_its_exceptions_fill_holds_nothing() {
        assert!(block("10.0.0.0/8", &["10.0.0.0/9", "10.128.0.0/9"]).matches_nothing());
        assert!(!block("10.0.0.0/8", &["10.0.0.0/9", "10.128.0.0/10"]).matches_nothing());
        assert!(block("::/0", &["::/1", "8000::/1"]).matches_nothing());
    }

    #[rstest::rstest]
    #[case("10.1.0.0/16", &[], "10.0.0.0/8", &[], true)]
    #[case("10.0.0.0/8", &[], "10.1.0.0/16", &[], false)]
    #[case("10.1.0.0/16", &[], "10.0.0.0/8", &["10.1.2.0/24"], false)]
    #[case("10.1.0.0/16", &["10.1.2.0/24"], "10.0.0.0/8", &["10.1.2.0/24"], true)]
    #[case("10.1.0.0/16", &["10.1.2.0/25", "10.1.2.128/25"], "10.0.0.0/8", &["10.1.2.0/24"], true)]
    #[case("10.1.0.0/16", &[], "10.0.0.0/8", &["10.2.0.0/16"], true)]
    #[case("10.1.0.0/16", &[], "10.0.0.0/8", &["10.0.0.0/15"], false)]
    #[case("10.1.0.0/16", &[], "::/0", &[], false)]
    fn lies_within(
        #[case] cidr: &str,
        #[case] except: &[&str],
        #[case] other: &str,
        #[case] holes: &[&str],
        #[case] expected: bool,
    ) {
        assert_eq!(block(cidr, except).within(&block(other, holes)), expected);
    }
}
