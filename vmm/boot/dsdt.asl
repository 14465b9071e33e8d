// SPDX-License-Identifier: GPL-2.0-only
//
// Describes the guest's devices that cannot be enumerated, for hardware-reduced ACPI. The numbers
// are those of vmm/machine/layout.h; acpi.c changes those of PCI0 and ECAM, which are for one bus, if
// there are more. vmm/boot/dsdt.h is this file compiled; it says how to renew it.
//
DefinitionBlock ("", "DSDT", 6, "UMBRA ", "UMBRADSD", 1)
{
    Name (\_S5, Package () { 5, 0, 0, 0 })
    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A08"))
            Name (_CID, EisaId ("PNP0A03"))
            Name (_SEG, 0)
            Name (_BBN, 0)
            Name (_UID, 0)
            Name (_CCA, 1)
            Name (_CRS, ResourceTemplate () {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
                IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0xE0100000, 0xFEBFFFFF, 0, 0x1EB00000)
            })
        }
        // Where the MCFG says that configuration space is (PCI Firmware Specification 3.2, 4.1.2).
        Device (ECAM)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate () {
                Memory32Fixed (ReadWrite, 0xE0000000, 0x00100000)
            })
        }
        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate () {
                IO (Decode16, 0x03F8, 0x03F8, 0, 8)
                IRQNoFlags () { 4 }
            })
        }
        Device (PWRB)
        {
            Name (_HID, EisaId ("PNP0C0C"))
            Name (_UID, 0)
        }
        Device (PEVT)
        {
            Name (_HID, "QEMU0001")
            Name (_UID, 0)
            Name (_STA, 0x0F)
            Name (_CRS, ResourceTemplate () {
                IO (Decode16, 0x0505, 0x0505, 1, 1)
            })
        }
        Device (GED)
        {
            Name (_HID, "ACPI0013")
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate () {
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 9 }
            })
            OperationRegion (GREG, SystemIO, 0x0610, 1)
            Field (GREG, ByteAcc, NoLock, Preserve) { GSEL, 8 }
            Method (_EVT, 1, Serialized)
            {
                Local0 = GSEL
                If (Local0 & 1) { Notify (\_SB.PWRB, 0x80) }
            }
        }
    }
}
