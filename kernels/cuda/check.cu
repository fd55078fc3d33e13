__global__ void check()
{
}
