/* One line for each hunt; no guard: included with different HUNT. */
HUNT(exfil)
HUNT(lateral)
HUNT(long)
HUNT(scan)
HUNT(strobe)
HUNT(dns_tunnel)
HUNT(dga)
HUNT(wrong_port)
