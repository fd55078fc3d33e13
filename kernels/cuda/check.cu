/* What the build compiles to see whether nvcc works. */
__global__ void check()
{
}
