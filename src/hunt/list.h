/* One line for each hunt; no guard: included with different HUNT. */
HUNT(dns_tunnel)
HUNT(dga)
HUNT(wrong_port)
