//! The checksums of frames, most significant bit first and beginning with 0: `src/audio/flac/crc.ts`.

const CRC8_POLYNOMIAL: u16 = 0x07;
const CRC16_POLYNOMIAL: u16 = 0x8005;
/// Bytes that one step of CRC-16 takes.
const STEP: usize = 8;

static CRC8: [u8; 256] = crc8_table();
/// `[n][byte]`: the checksum of a byte with n zeros behind it.
static CRC16: [[u16; 256]; STEP] = crc16_tables();

pub fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, &byte| CRC8[usize::from(crc ^ byte)])
}

pub fn crc16(bytes: &[u8]) -> u16 {
    let (steps, rest) = bytes.as_chunks::<STEP>();
    let mut crc = 0_u16;
    for step in steps {
        let [high, low] = crc.to_be_bytes();
        crc = CRC16[7][usize::from(step[0] ^ high)] ^ CRC16[6][usize::from(step[1] ^ low)];
        for n in 2..STEP {
            crc ^= CRC16[STEP - 1 - n][usize::from(step[n])];
        }
    }
    for &byte in rest {
        crc = (crc << 8) ^ CRC16[0][usize::from((crc >> 8) as u8 ^ byte)];
    }
    crc
}

const fn crc8_table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u16;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x80 != 0 { (crc << 1) ^ CRC8_POLYNOMIAL } else { crc << 1 };
            bit += 1;
        }
        table[byte] = crc as u8;
        byte += 1;
    }
    table
}

const fn crc16_tables() -> [[u16; 256]; STEP] {
    let mut tables = [[0; 256]; STEP];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut n = 0;
        while n < STEP {
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 0x8000 != 0 { (crc << 1) ^ CRC16_POLYNOMIAL } else { crc << 1 };
                bit += 1;
            }
            tables[n][byte] = crc;
            n += 1;
        }
        byte += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::{crc8, crc16};

    /// The check values of CRC-8/SMBUS and CRC-16/UMTS, and one over several steps, by single bits.
    #[test]
    fn have_the_check_values() {
        assert_eq!(crc8(b"123456789"), 0xf4);
        assert_eq!(crc16(b"123456789"), 0xfee8);
        let bytes: Vec<u8> = (0..100).map(|i| (i * 7 + 3) as u8).collect();
        let by_bits = bytes.iter().fold(0_u16, |crc, &byte| {
            (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| (crc << 1) ^ if crc & 0x8000 != 0 { 0x8005 } else { 0 })
        });
        assert_eq!(crc16(&bytes), by_bits);
    }
}
