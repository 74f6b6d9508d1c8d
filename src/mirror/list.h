/* One line for each provider of mirrors; no guard: included with different PROVIDER. */
PROVIDER(aws)
PROVIDER(linux)
PROVIDER(ovs)
PROVIDER(vm)
