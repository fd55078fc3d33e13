/* How the threads of the CPU engine wait for each other. */
#ifndef ALIGNPROP_CLI_WAIT_POLICY_H
#define ALIGNPROP_CLI_WAIT_POLICY_H

/* OpenMP's threads spin while they wait, by default: on a machine that does anything else beside, a step then takes ten
 * times as long (measured: 5 to 20 s instead of 1.1 s on two busy cores). The OpenMP library reads its policy when it
 * is loaded, so this starts the program anew with sleeping threads, unless the user has set a policy. Returns when
 * there is nothing to do or it cannot be done. To be called first in main. */
void wait_policy_choose(char **argv);

#endif
