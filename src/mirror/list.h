/* One line for each provider of mirrors; no guard: included with different PROVIDER. */
PROVIDER(linux)
PROVIDER(openstack)
PROVIDER(ovs)
PROVIDER(vm)
